//! What is wrong with settings, whichever way they come: one pure function for REST, files and the command line.
//!
//! A value's own type is the table's affair; here is what a value means beside others.

use base::limits::{JWT_KEY_BYTES_MIN, SETTINGS_BYTES_MAX};
use serde_json::Value;

use super::AppSettings;
use super::table::ROWS;
use crate::is_range;

/// What settings may have in them, in bytes of JSON: sealed, it is a third more.
const TEXT_BYTES_MAX: usize = SETTINGS_BYTES_MAX / 2;

/// Something to be said about a setting. Never holds a secret's value.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The JSON key of the setting that is to be changed.
    pub field: &'static str,
    /// What is wrong with it and what would be right.
    pub what: String,
}

/// What is to be said about settings as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// They must not be stored like this.
    pub problems: Vec<Finding>,
    /// They may, but their owner should know.
    pub warnings: Vec<Finding>,
}

/// Mechanisms of which AMS's form takes only one at a time: one-time tokens, JWT, TOTP. The first key of each is AMS's of
/// today, by which its REST judges; the others switch on the same.
const EXCLUSIVE: [[&[&str]; 3]; 2] = [
    [
        &["publishTokenControlEnabled", "tokenControlEnabled"],
        &["publishJwtControlEnabled"],
        &["enableTimeTokenForPublish", "timeTokenSubscriberOnly"],
    ],
    [
        &["playTokenControlEnabled", "tokenControlEnabled"],
        &["playJwtControlEnabled"],
        &["enableTimeTokenForPlay", "timeTokenSubscriberOnly"],
    ],
];

/// Switches, and the secrets of which one must be there for them.
const NEEDS: &[(&[&str], &[&str])] = &[
    (&["hashControlPublishEnabled", "hashControlPlayEnabled"], &["tokenHashSecret"]),
    (&["publishJwtControlEnabled", "playJwtControlEnabled"], &["jwtStreamSecretKey", "jwtStreamJwksURL"]),
    (&["jwtControlEnabled"], &["jwtSecretKey", "jwksURL"]),
];

impl AppSettings {
    /// Judges the settings as a whole.
    pub fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        self.find_missing_secrets(&mut findings.problems);
        self.find_short_keys(&mut findings.problems);
        self.find_bad_networks(&mut findings.problems);
        self.find_bad_urls(&mut findings.problems);
        self.find_bad_policy(&mut findings.problems);
        self.find_bad_ladder(&mut findings.problems);
        self.find_unwritable(&mut findings.problems);
        self.find_too_much(&mut findings.problems);
        if let Some(what) = self.revoked_fault() {
            findings.problems.push(Finding { field: "revokedTokens", what });
        }
        self.find_overlaps(&mut findings.warnings);
        self.find_nobodys_codes(&mut findings.warnings);
        findings
    }

    /// Whether AMS's REST would refuse them: an encoder without height, or two of one-time tokens, JWT and TOTP in one
    /// direction.
    pub fn ams_refuses(&self) -> bool {
        let two_at_once = EXCLUSIVE.iter().any(|mechanisms| {
            mechanisms.iter().filter(|keys| keys.first().is_some_and(|key| self.is_on(key))).count() > 1
        });
        two_at_once || self.ladder_without_height()
    }

    /// The repairs that AMS's REST makes: fewer than 5 segments in a playlist are 5, and less than a second in one is 1.
    #[must_use]
    pub fn repaired(mut self) -> Self {
        for (key, least, text) in [("hlsListSize", 5, "5"), ("hlsTime", 1, "1")] {
            let Some(row) = super::table::by_json(key) else { continue };
            let number = self.values[row].as_str().and_then(|text| text.trim().parse::<i64>().ok());
            if number.is_none_or(|number| number < least) {
                self.values[row] = text.into();
            }
        }
        self
    }

    fn is_on(&self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or_default()
    }

    /// The text of a setting that is not blank.
    fn said(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }

    fn ladder_without_height(&self) -> bool {
        let steps = self.get(super::LADDER).and_then(Value::as_array);
        let height = |step: &Value| step.get("height").and_then(Value::as_i64).unwrap_or_default();
        steps.is_some_and(|steps| steps.iter().any(|step| height(step) <= 0))
    }

    fn find_missing_secrets(&self, problems: &mut Vec<Finding>) {
        for (switches, secrets) in NEEDS {
            let Some(on) = switches.iter().find(|key| self.is_on(key)) else { continue };
            let Some(first) = secrets.first().filter(|_| secrets.iter().all(|key| self.said(key).is_none()))
            else {
                continue;
            };
            let what =
                format!("is blank while {on} is on, and would let nobody in; set it, or switch {on} off");
            problems.push(Finding { field: first, what });
        }
    }

    fn find_short_keys(&self, problems: &mut Vec<Finding>) {
        for field in ["jwtStreamSecretKey", "jwtSecretKey"] {
            let len = self.said(field).map_or(0, str::len);
            if (1..JWT_KEY_BYTES_MIN).contains(&len) {
                let what = format!("has {len} bytes; HS256 needs {JWT_KEY_BYTES_MIN} at least");
                problems.push(Finding { field, what });
            }
        }
    }

    fn find_bad_networks(&self, problems: &mut Vec<Finding>) {
        for field in ["allowedPublisherCIDR", "remoteAllowedCIDR"] {
            let networks = self.said(field).unwrap_or_default().split(',').map(str::trim);
            // What ends or doubles a comma is no range, and no mistake either.
            if let Some(bad) = networks.filter(|text| !text.is_empty()).find(|text| !is_range(text)) {
                let what = format!(
                    "{bad:.60?} is no range of addresses; write for example 10.20.30.0/24, separated by commas"
                );
                problems.push(Finding { field, what });
            }
        }
    }

    fn find_bad_urls(&self, problems: &mut Vec<Finding>) {
        for field in ["webhookAuthenticateURL", "webhookPlayAuthUrl", "jwksURL", "jwtStreamJwksURL"] {
            if self.said(field).is_some_and(|url| !is_http_url(url)) {
                let what = "is no address of a web server; write http:// or https:// and its name".to_owned();
                problems.push(Finding { field, what });
            }
        }
    }

    /// What no header can hold would protect nobody.
    fn find_bad_policy(&self, problems: &mut Vec<Finding>) {
        let field = "contentSecurityPolicyHeaderValue";
        if self.said(field).is_some_and(|policy| !policy.bytes().all(|byte| (b' '..=b'~').contains(&byte))) {
            let what = "holds what no header can: write it in one line of ASCII".to_owned();
            problems.push(Finding { field, what });
        }
    }

    fn find_bad_ladder(&self, problems: &mut Vec<Finding>) {
        if self.ladder_without_height() {
            let what = "a rendition has no height".to_owned();
            problems.push(Finding { field: super::LADDER, what });
        }
    }

    /// In a `red5-web.properties`, which says what the settings are, `${` begins the name of another property.
    fn find_unwritable(&self, problems: &mut Vec<Finding>) {
        for (row, value) in ROWS.iter().zip(self.values.iter()) {
            if value.to_string().contains("${") {
                let what = "has ${ in it, which red5-web.properties cannot say".to_owned();
                problems.push(Finding { field: row.json, what });
            }
        }
    }

    fn find_too_much(&self, problems: &mut Vec<Finding>) {
        let lengths =
            || ROWS.iter().zip(self.values.iter()).map(|(row, value)| (value.to_string().len(), row));
        let all: usize = lengths().map(|(length, _)| length).sum();
        if let Some((_, row)) = lengths().max_by_key(|(length, _)| *length).filter(|_| all > TEXT_BYTES_MAX) {
            let what =
                format!("is too long: all settings together may have {TEXT_BYTES_MAX} bytes, and have {all}");
            problems.push(Finding { field: row.json, what });
        }
    }

    fn find_overlaps(&self, warnings: &mut Vec<Finding>) {
        for mechanisms in EXCLUSIVE {
            let mut on = mechanisms.iter().filter_map(|keys| keys.iter().find(|key| self.is_on(key)));
            let (Some(first), Some(second)) = (on.next(), on.next()) else { continue };
            let what = format!(
                "is on together with {first}: whoever comes must satisfy both, and they share the one parameter \"token\" \
                 where both use it. Ant Media Server refuses this"
            );
            warnings.push(Finding { field: second, what });
        }
    }

    fn find_nobodys_codes(&self, warnings: &mut Vec<Finding>) {
        for (switch, field) in [
            ("enableTimeTokenForPublish", "timeTokenSecretForPublish"),
            ("enableTimeTokenForPlay", "timeTokenSecretForPlay"),
        ] {
            if self.is_on(switch) && self.said(field).is_none() {
                let what = format!(
                    "is blank while {switch} is on: only subscribers with a secret of their own get in"
                );
                warnings.push(Finding { field, what });
            }
        }
    }
}

fn is_http_url(url: &str) -> bool {
    let url = url.trim();
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = url.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let host = rest.and_then(|rest| rest.split(['/', '?', '#', ':']).next());
    host.is_some_and(|host| !host.is_empty()) && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings(settings: Value) -> Findings {
        serde_json::from_value::<AppSettings>(settings).unwrap().findings()
    }

    fn fields(findings: &[Finding]) -> Vec<&'static str> {
        findings.iter().map(|finding| finding.field).collect()
    }

    #[test]
    fn defaults_are_good_and_so_is_what_the_guide_shows() {
        assert_eq!(AppSettings::default().findings(), Findings::default());
        for settings in [
            json!({ "hashControlPublishEnabled": true, "tokenHashSecret": "PLEASE_WRITE_YOUR_SECRET_KEY" }),
            json!({ "allowedPublisherCIDR": "10.20.30.40/24,127.0.0.1/32" }),
            json!({ "playJwtControlEnabled": true, "jwtStreamSecretKey": "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq" }),
            json!({ "playJwtControlEnabled": true, "jwtStreamJwksURL": "https://keys.example" }),
            json!({ "enableTimeTokenForPlay": true, "timeTokenPeriod": 60 }),
            json!({ "jwtControlEnabled": true, "jwksURL": "https://keys.example:8443/a" }),
            json!({ "remoteAllowedCIDR": " 127.0.0.1 , ::1, 2001:db8::/32," }),
        ] {
            assert_eq!(findings(settings.clone()).problems, [], "{settings}");
        }
    }

    #[test]
    fn a_problem_names_its_field_and_no_secret() {
        let short = "k".repeat(31);
        for (settings, field) in [
            (json!({ "hashControlPlayEnabled": true, "tokenHashSecret": " " }), "tokenHashSecret"),
            (json!({ "tokenHashSecret": "a${HOME}b" }), "tokenHashSecret"),
            (json!({ "customSettings": { "a": "${b}" } }), "customSettings"),
            (json!({ "webhookContentType": "x".repeat(TEXT_BYTES_MAX) }), "webhookContentType"),
            (json!({ "publishJwtControlEnabled": true }), "jwtStreamSecretKey"),
            (json!({ "playJwtControlEnabled": true, "jwksURL": "https://rest.only" }), "jwtStreamSecretKey"),
            (json!({ "jwtStreamJwksURL": "keys.example" }), "jwtStreamJwksURL"),
            (json!({ "jwtStreamSecretKey": short }), "jwtStreamSecretKey"),
            (json!({ "jwtSecretKey": short }), "jwtSecretKey"),
            (json!({ "jwtControlEnabled": true }), "jwtSecretKey"),
            (json!({ "allowedPublisherCIDR": "10.0.0.0/33" }), "allowedPublisherCIDR"),
            (json!({ "remoteAllowedCIDR": "127.0.0.1,everybody" }), "remoteAllowedCIDR"),
            (json!({ "webhookPlayAuthUrl": "ftp://a" }), "webhookPlayAuthUrl"),
            (json!({ "webhookAuthenticateURL": "http:///a" }), "webhookAuthenticateURL"),
            (json!({ "jwksURL": "https://a b" }), "jwksURL"),
            (
                json!({ "contentSecurityPolicyHeaderValue": "default-src\n*" }),
                "contentSecurityPolicyHeaderValue",
            ),
            (json!({ "encoderSettings": [{ "height": 0, "videoBitrate": 1 }] }), "encoderSettings"),
            (json!({ "encoderSettings": [{ "videoBitrate": 1 }] }), "encoderSettings"),
        ] {
            let problems = findings(settings.clone()).problems;
            assert_eq!(fields(&problems), [field], "{settings}");
            assert!(!problems[0].what.contains(&short), "{problems:?}");
        }
    }

    #[test]
    fn two_at_once_are_what_ams_refuses_and_we_warn_of() {
        let settings = |value: &Value| serde_json::from_value::<AppSettings>(value.clone()).unwrap();
        for (value, refused, warned) in [
            (json!({ "publishTokenControlEnabled": true, "playJwtControlEnabled": true }), false, false),
            (json!({ "publishTokenControlEnabled": true, "publishJwtControlEnabled": true }), true, true),
            (json!({ "playTokenControlEnabled": true, "enableTimeTokenForPlay": true }), true, true),
            (json!({ "playTokenControlEnabled": true, "hashControlPlayEnabled": true }), false, false),
            // What its form does not know it does not refuse.
            (json!({ "tokenControlEnabled": true, "timeTokenSubscriberOnly": true }), false, true),
            (json!({ "encoderSettings": [{ "height": -1 }] }), true, false),
        ] {
            let settings = settings(&value);
            assert_eq!(settings.ams_refuses(), refused, "{value}");
            let overlaps = settings.findings().warnings;
            assert_eq!(overlaps.iter().any(|w| w.what.contains("together with")), warned, "{value}");
        }
    }

    #[test]
    fn playlists_that_cannot_be_are_repaired_as_in_ams() {
        for (given, repaired) in [
            (json!({ "hlsListSize": "4", "hlsTime": "0" }), ["5", "1"]),
            (json!({ "hlsListSize": null, "hlsTime": null }), ["5", "1"]),
            (json!({ "hlsListSize": "many", "hlsTime": "" }), ["5", "1"]),
            (json!({ "hlsListSize": 7, "hlsTime": "2" }), ["7", "2"]),
        ] {
            let settings = serde_json::from_value::<AppSettings>(given.clone()).unwrap().repaired();
            let text = |key| settings.get(key).and_then(Value::as_str).unwrap();
            assert_eq!([text("hlsListSize"), text("hlsTime")], repaired, "{given}");
        }
    }
}
