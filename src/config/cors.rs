//! The CORS filter of an application, as Tomcat's `web.xml` says it.

use std::path::Path;

use base::limits;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use crate::file::read_bounded;
use crate::{ConfigError, Place, Problem};

/// Where an application's `web.xml` is, below its folder.
const FILE: &str = "WEB-INF/web.xml";
/// The last part of the class that makes a filter one of CORS: AMS's and Tomcat's own.
const CLASSES: &[&str] = &["CorsHeaderFilter", "CorsFilter"];
/// AMS's own defaults, which its `web.xml` repeats.
const METHODS: &[&str] = &["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE"];
const HEADERS: &[&str] = &[
    "Accept",
    "Origin",
    "X-Requested-With",
    "Access-Control-Request-Headers",
    "Content-Type",
    "Access-Control-Request-Method",
    "Authorization",
    "ProxyAuthorization",
];
/// Tomcat's default.
const MAX_AGE_S: i64 = 1_800;

/// What pages of other origins may ask and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsFilter {
    /// Origins (`https://media.example`); `*` among them: all.
    pub origins: Vec<String>,
    /// Verbs.
    pub methods: Vec<String>,
    /// Headers that may be sent, in whatever case.
    pub headers: Vec<String>,
    /// Headers of answers that may be read beside those that always may.
    pub exposed: Vec<String>,
    /// Whether pages may have the browser send what it knows of its user. Never together with all origins.
    pub credentials: bool,
    /// Seconds for which a browser remembers what may be asked; negative: it is not told.
    pub max_age_s: i64,
}

/// Everybody may ask, without credentials, as in AMS.
impl Default for CorsFilter {
    fn default() -> Self {
        let owned = |list: &[&str]| list.iter().map(|&value| value.to_owned()).collect();
        Self {
            origins: vec!["*".into()],
            methods: owned(METHODS),
            headers: owned(HEADERS),
            exposed: Vec::new(),
            credentials: false,
            max_age_s: MAX_AGE_S,
        }
    }
}

impl CorsFilter {
    /// Whether pages of all origins may ask.
    pub fn is_for_everybody(&self) -> bool {
        self.origins.iter().any(|origin| origin == "*")
    }

    /// Reads the `web.xml` of an application's `folder`. Without the file the defaults stand; `None`: the file is there and
    /// has no such filter, so that pages of other origins are told nothing.
    ///
    /// # Errors
    /// The file cannot be read or is no such file.
    pub fn load(folder: &Path) -> Result<Option<Self>, ConfigError> {
        let path = folder.join(FILE);
        let bytes = match read_bounded(&path, "let the node's user read it, or move it away") {
            Ok(bytes) => bytes,
            Err(ConfigError::Unreadable { why, .. }) if why.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Some(Self::default()));
            }
            Err(error) => return Err(error),
        };
        let wrong = |what| {
            ConfigError::Invalid(vec![Problem {
                place: Place::File { path: path.clone(), line: None },
                what,
            }])
        };
        let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8".to_owned()))?;
        Self::read(&text).map_err(wrong)
    }

    /// Reads the text of a `web.xml`; as [`CorsFilter::load`]. The error says what is wrong with it.
    ///
    /// # Errors
    /// It is no XML, has a DTD or other entities than XML's own five, is too large, or says what no filter can mean.
    pub fn read(text: &str) -> Result<Option<Self>, String> {
        let mut parameters: Option<Vec<(String, String)>> = None;
        let (mut is_cors, mut found) = (false, Vec::new());
        let (mut name, mut value) = (String::new(), String::new());
        walk(text, |path, text| match (path, text) {
            (["web-app", "filter"], None) => {
                if std::mem::take(&mut is_cors) && parameters.is_none() {
                    parameters = Some(std::mem::take(&mut found));
                }
                found.clear();
            }
            (["web-app", "filter", "filter-class"], Some(class)) => {
                is_cors |= class.rsplit('.').next().is_some_and(|class| CLASSES.contains(&class));
            }
            (["web-app", "filter", "init-param", "param-name"], Some(text)) => text.clone_into(&mut name),
            (["web-app", "filter", "init-param", "param-value"], Some(text)) => text.clone_into(&mut value),
            (["web-app", "filter", "init-param"], None) => {
                found.push((std::mem::take(&mut name), std::mem::take(&mut value)));
            }
            _ => {}
        })?;
        parameters.map(|parameters| Self::of(&parameters)).transpose()
    }

    fn of(parameters: &[(String, String)]) -> Result<Self, String> {
        let mut filter = Self::default();
        for (name, value) in parameters {
            match name.as_str() {
                "cors.allowed.origins" => filter.origins = list(value)?,
                "cors.allowed.methods" => filter.methods = list(value)?,
                "cors.allowed.headers" => filter.headers = list(value)?,
                "cors.exposed.headers" => filter.exposed = list(value)?,
                "cors.support.credentials" => {
                    filter.credentials = match value.to_ascii_lowercase().as_str() {
                        "true" => true,
                        "false" | "" => false,
                        _ => return Err(format!("{name} is {value:?}; it must be true or false")),
                    };
                }
                "cors.preflight.maxage" => {
                    filter.max_age_s = value
                        .parse()
                        .map_err(|_| format!("{name} is {value:?}; it must be a number of seconds"))?;
                }
                // `cors.request.decorate` and what belongs to other filters.
                _ => {}
            }
        }
        if filter.credentials && filter.is_for_everybody() {
            return Err(
                "cors.support.credentials is true and cors.allowed.origins is *: name the origins".into()
            );
        }
        if let Some(bad) = filter.origins.iter().find(|origin| !is_origin(origin)) {
            return Err(format!(
                "cors.allowed.origins has {bad:?}, which is no origin as https://media.example:5443"
            ));
        }
        let words = filter.methods.iter().chain(&filter.headers).chain(&filter.exposed);
        if let Some(bad) = words.into_iter().find(|word| !is_token(word)) {
            return Err(format!("{bad:?} is no method and no header"));
        }
        Ok(filter)
    }
}

fn list(value: &str) -> Result<Vec<String>, String> {
    let values: Vec<_> =
        value.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect();
    if values.len() > limits::CORS_VALUES_MAX {
        return Err(format!("a list has more than {} values", limits::CORS_VALUES_MAX));
    }
    Ok(values)
}

/// `*`, or `scheme://host`, of a scheme that begins with `http` or `ws` (AMS).
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return text == "*" };
    (scheme.starts_with("http") || scheme.starts_with("ws"))
        && !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@\\\"'<>".contains(&byte))
}

/// RFC 9110 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Tells, for each element, the path of names that leads to it: with its trimmed text when it has some, then without text
/// at its end.
fn walk(text: &str, mut tell: impl FnMut(&[&str], Option<&str>)) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let (mut content, mut elements) = (String::new(), 0_usize);
    loop {
        let event = reader.read_event().map_err(|error| format!("is no XML: {error}"))?;
        match event {
            Event::Start(tag) => {
                elements += 1;
                path.push(tag.local_name().into_inner().to_owned());
                content.clear();
                if elements > limits::WEB_XML_ELEMENTS_MAX || path.len() > limits::WEB_XML_DEPTH_MAX {
                    return Err("has more elements than a web.xml has".into());
                }
            }
            Event::End(_) => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                let said = content.trim();
                if !said.is_empty() {
                    tell(&names, Some(said));
                }
                tell(&names, None);
                content.clear();
                path.pop();
            }
            Event::Text(text) => content.push_str(&text.into_inner()),
            Event::CData(text) => content.push_str(&text.into_inner()),
            Event::GeneralRef(name) => {
                let resolved = match name.resolve_char_ref().map_err(|error| format!("is no XML: {error}"))? {
                    Some(character) => character.to_string(),
                    None => resolve_predefined_entity(&name)
                        .ok_or("uses an entity of its own, which is not read")?
                        .to_owned(),
                };
                content.push_str(&resolved);
            }
            Event::DocType(_) => return Err("has a DTD, which is not read: remove the DOCTYPE line".into()),
            Event::Empty(_) => elements += 1,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if path.is_empty() && elements > 0 => return Ok(()),
            Event::Eof => return Err("ends in the middle".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web_xml(parameters: &[(&str, &str)]) -> String {
        let parameters: String = parameters
            .iter()
            .map(|(name, value)| {
                format!(
                    "<init-param><param-name>{name}</param-name>\n<param-value> {value} </param-value></init-param>"
                )
            })
            .collect();
        format!(
            "<?xml version=\"1.0\"?><web-app><filter><filter-name>Other</filter-name><filter-class>a.B</filter-class>\
             <init-param><param-name>cors.allowed.origins</param-name><param-value>http://wrong</param-value></init-param></filter>\
             <filter><filter-name>CorsFilter</filter-name><filter-class>io.antmedia.filter.CorsHeaderFilter</filter-class>\
             {parameters}<async-supported>true</async-supported></filter></web-app>"
        )
    }

    fn read(parameters: &[(&str, &str)]) -> Result<CorsFilter, String> {
        CorsFilter::read(&web_xml(parameters)).map(Option::unwrap)
    }

    #[test]
    fn a_filter_says_what_it_says_and_the_rest_has_the_defaults() {
        assert_eq!(read(&[]).unwrap(), CorsFilter::default());
        let filter = read(&[
            ("cors.allowed.origins", "https://a.example, http://b.example:8080"),
            ("cors.allowed.methods", "GET,POST"),
            ("cors.allowed.headers", "X-One"),
            ("cors.exposed.headers", "X-Two"),
            ("cors.support.credentials", "true"),
            ("cors.preflight.maxage", "-1"),
            ("cors.request.decorate", "false"),
        ])
        .unwrap();
        assert_eq!(filter.origins, ["https://a.example", "http://b.example:8080"]);
        assert_eq!((filter.methods.join("+"), filter.headers.join("+")), ("GET+POST".into(), "X-One".into()));
        assert_eq!(
            (filter.exposed.join("+"), filter.credentials, filter.max_age_s),
            ("X-Two".into(), true, -1)
        );
    }

    #[test]
    fn credentials_for_everybody_are_refused() {
        let error = read(&[("cors.support.credentials", "true")]).unwrap_err();
        assert!(error.contains("name the origins"), "{error}");
        read(&[("cors.support.credentials", "true"), ("cors.allowed.origins", "https://a")]).unwrap();
    }

    #[test]
    fn what_is_commented_out_is_not_said() {
        let text = web_xml(&[]).replace(
            "<async-supported>",
            "<!-- <init-param><param-name>cors.support.credentials</param-name><param-value>true</param-value></init-param> --><async-supported>",
        );
        assert_eq!(CorsFilter::read(&text).unwrap(), Some(CorsFilter::default()));
    }

    #[test]
    fn a_file_without_the_filter_allows_nothing_and_no_file_what_ams_does() {
        assert_eq!(CorsFilter::read("<web-app><filter/></web-app>").unwrap(), None);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(CorsFilter::load(folder.path()).unwrap(), Some(CorsFilter::default()));
    }

    #[test]
    fn no_entity_is_expanded_and_nothing_without_end_is_read() {
        let deep = "<a>".repeat(100_000);
        let many = format!("<web-app>{}</web-app>", "<a></a>".repeat(20_000));
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><web-app>&b;</web-app>";
        for bad in [
            "",
            "nonsense",
            "<web-app>",
            "<web-app></other>",
            &deep,
            &many,
            bomb,
            "<web-app>&other;</web-app>",
            &web_xml(&[("cors.allowed.origins", "javascript:x")]),
            &web_xml(&[("cors.allowed.origins", "https://a/b")]),
            &web_xml(&[("cors.allowed.methods", "GET POST")]),
            &web_xml(&[("cors.exposed.headers", "X-A: b&#10;Set-Cookie")]),
            &web_xml(&[("cors.preflight.maxage", "soon")]),
            &web_xml(&[("cors.allowed.origins", &"http://a,".repeat(1_000))]),
        ] {
            assert!(CorsFilter::read(bad).is_err(), "{}", &bad[..bad.len().min(200)]);
        }
        let escaped = web_xml(&[("cors.allowed.origins", "https://a&#46;example")]);
        assert_eq!(CorsFilter::read(&escaped).unwrap().unwrap().origins, ["https://a.example"]);
    }
}
