//! The settings of an application: replaced as AMS does, or changed key by key; each change is judged first, and made only to
//! the version that was looked at.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderMap, HeaderValue, IF_MATCH};
use async_trait::async_trait;
use base::{AppName, limits};
use cluster_model::{MetaError, NotApplied, PutSettingsError, Unreadable};
use config::{AppSettings, ChangeError, Difference, Finding};
use serde::Serialize;
use serde_json::Value;
use sessions::Parameters;
use tokio::sync::MutexGuard;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::ApiState;
use crate::answer::{Outcome, no_content, not_found, ok, refusal, unavailable, unreadable};
use crate::door::Asker;

/// Where people read an application's settings on this node.
#[async_trait]
pub trait SettingsFiles: Send + Sync {
    /// Settings were stored over this node: its file is to say so, too. A file that cannot be written is told in the log.
    async fn rewrite(&self, app: &AppName, settings: Arc<AppSettings>);
}

/// What became of a change, or what would (ours): AMS's `Result`, and why.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingsOutcome {
    success: bool,
    message: String,
    data_id: String,
    error_id: i32,
    /// Of the settings as they are now; with a change that was made, the new one.
    version: u64,
    /// Only looked at, nothing was stored.
    dry_run: bool,
    /// What the change changes.
    changes: Vec<SettingChange>,
    /// Why it is refused.
    problems: Vec<SettingFinding>,
    /// What its maker should know.
    warnings: Vec<SettingFinding>,
}

/// A setting that changes. A secret's values are not shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SettingChange {
    key: &'static str,
    secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

/// What is to be said about a setting.
#[derive(Serialize, ToSchema)]
pub(crate) struct SettingFinding {
    /// Its JSON key.
    field: &'static str,
    /// In words.
    what: String,
}

impl From<Difference> for SettingChange {
    fn from(Difference { key, secret, before, after }: Difference) -> Self {
        let shown = |value| (!secret).then_some(value);
        Self { key, secret, before: shown(before), after: shown(after) }
    }
}

impl From<Finding> for SettingFinding {
    fn from(Finding { field, what }: Finding) -> Self {
        Self { field, what }
    }
}

/// How settings are changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// AMS's: what is not named is at its default again, but for secrets; its refusals and repairs.
    Replace,
    /// Ours: what is named is changed.
    Patch,
}

/// `GET /applications/settings/{app}`: all of them, of secrets those that `asker` may see; with their version as `ETag`. 204 for an application nobody knows (AMS).
pub(crate) async fn get(state: &ApiState, asker: &Asker, name: &str) -> HttpResponse {
    let Some(app) = state.application(name) else { return no_content() };
    match state.settings.get(&app).await {
        Ok(Some((version, settings))) if asker.sees_secrets_of(&app) => with_version(ok(&*settings), version),
        Ok(Some((version, settings))) => with_version(ok(&settings.without_secrets()), version),
        Ok(None) => no_content(),
        Err(error) => unavailable(&error),
    }
}

/// `POST` and `PATCH /applications/settings/{app}`. `If-Match` names the version that is to be changed, another one is 412;
/// `?dryRun=true` only tells what would happen.
pub(crate) async fn change(
    state: &ApiState,
    name: &str,
    way: Way,
    body: Option<Value>,
    query: &str,
    headers: &HeaderMap,
) -> HttpResponse {
    let Some(app) = state.application(name) else { return unknown(way) };
    let Ok(expected) = expected(headers) else {
        return refusal(StatusCode::BAD_REQUEST, "If-Match is no version of settings");
    };
    let Some(body) = body else { return ok(&Outcome::failure("There are no settings in the request")) };
    let dry_run = match Parameters::read(query).get("dryRun") {
        None => false,
        Some(said) if said.eq_ignore_ascii_case("false") => false,
        Some(said) if said.eq_ignore_ascii_case("true") => true,
        // Who wants to try and says so in other words must not be taken at less than that.
        Some(_) => return refusal(StatusCode::BAD_REQUEST, "dryRun is true or false"),
    };
    let Some(_turn) = turn(state).await else { return too_many() };
    // Who names no version means the newest one, whichever that is when it is the turn.
    for _ in 0..limits::SETTINGS_RETRIES_MAX {
        let (version, held) = match state.settings.get(&app).await {
            Ok(Some(found)) => found,
            Ok(None) => return unknown(way),
            Err(error) => return unavailable(&error),
        };
        if expected.is_some_and(|expected| expected != version) {
            return conflict(version);
        }
        let planned = match plan(&held, way, &body) {
            Ok(planned) => planned,
            Err(refusal) => return refusal,
        };
        if dry_run || !planned.problems.is_empty() || planned.refused_by_ams {
            return with_version(planned.told(way, version, dry_run, &held), version);
        }
        match state.settings.put(&app, version, &planned.after).await {
            Ok(version) => {
                let after = Arc::new(planned.after.clone());
                state.settings_files.rewrite(&app, after).await;
                tracing::info!(%app, version, keys = ?planned.keys(&held), "settings changed over REST");
                return with_version(planned.told(way, version, false, &held), version);
            }
            Err(PutSettingsError::Conflict { version }) if expected.is_some() => return conflict(version),
            Err(PutSettingsError::Conflict { .. }) => {}
            Err(PutSettingsError::Meta(error)) => return unavailable(&error),
        }
    }
    too_many()
}

/// Waits until those who changed settings over this node before are done; `None`: too long.
async fn turn(state: &ApiState) -> Option<MutexGuard<'_, ()>> {
    timeout(limits::SETTINGS_TURN_WAIT_MAX, state.settings_turn.lock()).await.ok()
}

fn too_many() -> HttpResponse {
    unavailable(&MetaError::NotApplied(NotApplied::Busy))
}

/// Changes settings by what they are when it is the turn.
///
/// # Errors
/// What is to be answered instead.
pub(crate) async fn amend(
    state: &ApiState,
    app: &AppName,
    amend: impl Fn(&AppSettings) -> Result<AppSettings, HttpResponse>,
) -> Result<(), HttpResponse> {
    let _turn = turn(state).await.ok_or_else(too_many)?;
    for _ in 0..limits::SETTINGS_RETRIES_MAX {
        let found = state.settings.get(app).await.map_err(|error| unavailable(&error))?;
        let (version, held) = found.ok_or_else(not_found)?;
        let after = amend(&held)?;
        match state.settings.put(app, version, &after).await {
            Ok(version) => {
                tracing::info!(%app, version, "settings changed over REST");
                state.settings_files.rewrite(app, Arc::new(after)).await;
                return Ok(());
            }
            Err(PutSettingsError::Conflict { .. }) => {}
            Err(PutSettingsError::Meta(error)) => return Err(unavailable(&error)),
        }
    }
    Err(too_many())
}

/// As AMS answers for an application it does not have; our own way says so.
fn unknown(way: Way) -> HttpResponse {
    match way {
        Way::Replace => refusal(StatusCode::INTERNAL_SERVER_ERROR, "There is no such application"),
        Way::Patch => not_found(),
    }
}

/// A change that was thought through.
struct Planned {
    after: AppSettings,
    problems: Vec<Finding>,
    warnings: Vec<Finding>,
    refused_by_ams: bool,
}

fn plan(held: &AppSettings, way: Way, body: &Value) -> Result<Planned, HttpResponse> {
    let after = match way {
        // What it is instead may be a secret, and is not repeated.
        Way::Replace if !body.is_object() => {
            let why = <serde_json::Error as serde::de::Error>::custom("the settings are to be a JSON object");
            return Err(unreadable(&Unreadable::from(why)));
        }
        Way::Replace => {
            let given: AppSettings =
                serde_json::from_value(body.clone()).map_err(|error| unreadable(&Unreadable::from(error)))?;
            held.replaced_by(given, |key| body.get(key).is_some()).repaired()
        }
        Way::Patch => {
            let Value::Object(changes) = body else {
                let why = "The settings to change are to be a JSON object";
                return Err(refusal(StatusCode::BAD_REQUEST, why));
            };
            let changed = held.patched(changes);
            changed.map_err(|error: ChangeError| refusal(StatusCode::BAD_REQUEST, &error.to_string()))?
        }
    };
    let refused_by_ams = way == Way::Replace && after.ams_refuses();
    let findings = after.findings();
    Ok(Planned { after, problems: findings.problems, warnings: findings.warnings, refused_by_ams })
}

impl Planned {
    fn keys(&self, held: &AppSettings) -> Vec<&'static str> {
        held.differences(&self.after).into_iter().map(|it| it.key).collect()
    }

    /// AMS's way answers with AMS's `Result`, which says nothing when it is AMS that would refuse; 200 all the same. Ours says
    /// why, with 400.
    fn told(self, way: Way, version: u64, dry_run: bool, held: &AppSettings) -> HttpResponse {
        let success = self.problems.is_empty() && !self.refused_by_ams;
        let message = match self.problems.first() {
            _ if self.refused_by_ams => String::new(),
            Some(problem) => format!("{} {}", problem.field, problem.what),
            None => String::new(),
        };
        if way == Way::Replace && !dry_run {
            return ok(&if success { Outcome::success("") } else { Outcome::failure(message) });
        }
        let outcome = SettingsOutcome {
            success,
            message,
            data_id: String::new(),
            error_id: 0,
            version,
            dry_run,
            changes: held.differences(&self.after).into_iter().map(SettingChange::from).collect(),
            problems: self.problems.into_iter().map(SettingFinding::from).collect(),
            warnings: self.warnings.into_iter().map(SettingFinding::from).collect(),
        };
        let mut answer = ok(&outcome);
        if !success && !dry_run {
            *answer.status_mut() = StatusCode::BAD_REQUEST;
        }
        answer
    }
}

fn with_version(mut answer: HttpResponse, version: u64) -> HttpResponse {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}

fn conflict(version: u64) -> HttpResponse {
    let why = format!("The settings were changed by somebody else, they are at version {version} now");
    with_version(refusal(StatusCode::PRECONDITION_FAILED, &why), version)
}

/// The version that `If-Match` names; `None`: any.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, std::num::ParseIntError> {
    let Some(text) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = text.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.trim_start_matches("W/").trim_matches('"').parse().map(Some)
}
