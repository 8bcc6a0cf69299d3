//! What a publish URL says.

use std::fmt;

use base::{AppName, Secret, limits};

/// What an encoder asks for, taken from `connect` and `publish`.
///
/// The forms of Ant Media Server (all may be mixed):
/// `rtmp://host/app/stream?token=..&subscriberId=..&subscriberCode=..`,
/// `rtmp://host/app/stream/token/subscriberId/subscriberCode` with slashes or `%2F`. Encoders cut
/// such a URL in different places: everything behind the application is one path, whether it came
/// as part of `app` or as the stream's name, and queries are taken from the name, from `app` and
/// from `tcUrl`, in this order. Of a parameter given twice the first counts, and a parameter
/// counts before its place in the path.
#[derive(Clone, PartialEq, Eq)]
pub struct PublishRequest {
    /// The application: the first part of the path.
    pub app: AppName,
    /// The stream's name as it came, for the gate to judge. May be empty.
    pub stream: String,
    /// `token`.
    pub token: Option<Secret>,
    /// `subscriberId`.
    pub subscriber_id: Option<String>,
    /// `subscriberCode`.
    pub subscriber_code: Option<Secret>,
    /// `mainTrack`: the stream this one is a part of.
    pub main_track: Option<String>,
    /// All parameters, the credentials too; a key without `=` has an empty value.
    pub query: Vec<(String, Secret)>,
    /// What the encoder calls itself, cut to [`limits::RTMP_TEXT_BYTES_MAX`].
    pub flash_ver: String,
    /// The URL as the encoder understood it; credentials may stand in it.
    pub tc_url: Secret,
}

/// Why a publish URL cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The first part of the path is not the name of an application.
    #[error("the url names no application")]
    BadApplication,
    /// More than [`limits::RTMP_QUERY_PAIRS_MAX`].
    #[error("the url has more than {} parameters", limits::RTMP_QUERY_PAIRS_MAX)]
    TooManyParameters,
}

/// What `connect` says of the client and the URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct ConnectInfo {
    pub(crate) app: String,
    pub(crate) tc_url: String,
    pub(crate) flash_ver: String,
}

impl PublishRequest {
    /// Reads the `app`, `tcUrl` and `flashVer` of `connect` and the name of `publish`.
    pub fn read(app: &str, tc_url: &str, flash_ver: &str, name: &str) -> Result<Self, UrlError> {
        let (app_path, app_query) = split_query(app);
        let (name_path, name_query) = split_query(name);
        let (_, tc_query) = split_query(tc_url);

        let mut path = segments(app_path);
        let app = application(path.next())?;
        let mut path = path.chain(segments(name_path));
        let mut request = Self {
            app,
            stream: path.next().unwrap_or_default(),
            token: path.next().map(Secret::new),
            subscriber_id: path.next(),
            subscriber_code: path.next().map(Secret::new),
            main_track: None,
            query: Vec::new(),
            flash_ver: cut(flash_ver).to_owned(),
            tc_url: Secret::new(tc_url.to_owned()),
        };
        for query in [name_query, app_query, tc_query] {
            for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                let pair = (percent_decode(key), Secret::new(percent_decode(value)));
                // `app` and `tcUrl` repeat each other's query.
                if request.query.contains(&pair) {
                    continue;
                }
                if request.query.len() >= limits::RTMP_QUERY_PAIRS_MAX {
                    return Err(UrlError::TooManyParameters);
                }
                request.query.push(pair);
            }
        }
        request.take_parameters();
        Ok(request)
    }

    fn take_parameters(&mut self) {
        let find = |wanted: &str| {
            let found = self.query.iter().find(|(key, _)| key == wanted);
            found.map(|(_, value)| value.clone()).filter(|value| !value.expose().is_empty())
        };
        let token = find("token");
        let subscriber_id = find("subscriberId").map(|id| id.expose().clone());
        let subscriber_code = find("subscriberCode");
        self.main_track = find("mainTrack").map(|track| track.expose().clone());
        self.token = token.or(self.token.take());
        self.subscriber_id = subscriber_id.or(self.subscriber_id.take());
        self.subscriber_code = subscriber_code.or(self.subscriber_code.take());
    }
}

impl fmt::Debug for PublishRequest {
    /// Without the parameters, whose keys an outsider may have put a secret into.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishRequest")
            .field("app", &self.app)
            .field("stream", &self.stream)
            .field("token", &self.token.is_some())
            .field("subscriber_id", &self.subscriber_id)
            .field("parameters", &self.query.len())
            .field("flash_ver", &self.flash_ver)
            .finish_non_exhaustive()
    }
}

impl ConnectInfo {
    /// Of an encoder that leaves `app` out the path of `tcUrl` counts.
    pub(crate) fn new(app: &str, tc_url: &str, flash_ver: &str) -> Self {
        let path = || tc_url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        let app = if app.is_empty() { path().map_or("", |(_host, path)| path) } else { app };
        Self { app: app.to_owned(), tc_url: tc_url.to_owned(), flash_ver: cut(flash_ver).to_owned() }
    }

    /// The application's name, if `app` begins with a possible one.
    pub(crate) fn application(&self) -> Result<AppName, UrlError> {
        application(segments(split_query(&self.app).0).next())
    }

    /// The application as the peer wrote it, without what may hold credentials.
    pub(crate) fn scope(&self) -> &str {
        let path = split_query(&self.app).0.trim_start_matches('/');
        path.split('/').next().unwrap_or_default()
    }
}

fn application(segment: Option<String>) -> Result<AppName, UrlError> {
    AppName::new(&segment.unwrap_or_default()).map_err(|_| UrlError::BadApplication)
}

/// Text cut to [`limits::RTMP_TEXT_BYTES_MAX`] at a character.
pub(crate) fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(limits::RTMP_TEXT_BYTES_MAX)).unwrap_or_default()
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

/// The parts of a path, decoded first, so that `%2F` separates too; empty parts are nothing.
fn segments(path: &str) -> impl Iterator<Item = String> {
    let decoded = percent_decode(path);
    decoded.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// Decodes `%XX`. What is no such sequence, or gives no UTF-8, stays as it is.
fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        let digits = behind.first_chunk::<2>().and_then(|[high, low]| Some((hex(*high)?, hex(*low)?)));
        match digits {
            Some((high, low)) if byte == b'%' => {
                bytes.push(high << 4 | low);
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
