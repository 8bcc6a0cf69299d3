//! The table of every REST route. What does not stand here does not exist: the answer is 404, after the
//! door had its say.

use actix_web::http::Method;

/// Whose route it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Below `/{App}/rest/v2`, once per application.
    Application,
    /// Below `/rest/v2`, once per node.
    Node,
}

/// What a route does; the name of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Stores a new broadcast.
    CreateBroadcast,
    /// Counts the broadcasts that are live.
    CountLiveBroadcasts,
    /// Lists broadcasts, a page at a time.
    ListBroadcasts,
    /// Shows one broadcast.
    GetBroadcast,
    /// Ends and deletes one broadcast.
    DeleteBroadcast,
    /// Lists the applications.
    ListApplications,
    /// Says what this server is.
    GetVersion,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The verb. `HEAD` is answered wherever `GET` is.
    pub verb: Method,
    /// The path below the scope's prefix; `{name}` stands for one part.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
    /// Whose it is.
    pub scope: Scope,
}

const fn route(verb: Method, path: &'static str, operation: Operation, scope: Scope) -> Route {
    Route { verb, path, operation, scope }
}

/// Every route. Of two paths that fit, the earlier row is meant: fixed parts stand before `{id}`, as
/// Jersey prefers them in AMS.
pub const ROUTES: &[Route] = &[
    route(Method::POST, "/broadcasts/create", Operation::CreateBroadcast, Scope::Application),
    route(
        Method::GET,
        "/broadcasts/active-live-stream-count",
        Operation::CountLiveBroadcasts,
        Scope::Application,
    ),
    route(Method::GET, "/broadcasts/list/{offset}/{size}", Operation::ListBroadcasts, Scope::Application),
    route(Method::GET, "/broadcasts/{id}", Operation::GetBroadcast, Scope::Application),
    route(Method::DELETE, "/broadcasts/{id}", Operation::DeleteBroadcast, Scope::Application),
    route(Method::GET, "/applications", Operation::ListApplications, Scope::Node),
    route(Method::GET, "/version", Operation::GetVersion, Scope::Node),
];

/// What the table says to a verb and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// The operation, and the parts that stood where the path has `{name}`, in order.
    Operation(Operation, Vec<&'a str>),
    /// The path exists for other verbs: the value of `Allow`.
    WrongVerb(String),
    /// No such path.
    Nothing,
}

/// Looks up `parts`, the path below the scope's prefix.
pub(crate) fn find<'a>(verb: &Method, scope: Scope, parts: &'a [String]) -> Found<'a> {
    let Some((path, values)) =
        ROUTES.iter().filter(|r| r.scope == scope).find_map(|r| Some((r.path, fit(r.path, parts)?)))
    else {
        return Found::Nothing;
    };
    let wanted = if verb == Method::HEAD { &Method::GET } else { verb };
    let mut verbs = Vec::new();
    for row in ROUTES.iter().filter(|r| r.scope == scope && r.path == path) {
        if row.verb == wanted {
            return Found::Operation(row.operation, values);
        }
        verbs.push(row.verb.as_str());
        if row.verb == Method::GET {
            verbs.push("HEAD");
        }
    }
    Found::WrongVerb(verbs.join(", "))
}

fn fit<'a>(path: &str, parts: &'a [String]) -> Option<Vec<&'a str>> {
    let template: Vec<_> = path.split('/').skip(1).collect();
    if template.len() != parts.len() {
        return None;
    }
    let mut values = Vec::new();
    for (template, part) in template.into_iter().zip(parts) {
        if template.starts_with('{') {
            values.push(part.as_str());
        } else if template != part {
            return None;
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str) -> Vec<String> {
        path.split('/').skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn fixed_parts_win_over_ids() {
        let parts = parts("/broadcasts/active-live-stream-count");
        assert_eq!(
            find(&Method::GET, Scope::Application, &parts),
            Found::Operation(Operation::CountLiveBroadcasts, vec![])
        );
        assert_eq!(find(&Method::DELETE, Scope::Application, &parts), Found::WrongVerb("GET, HEAD".into()));
    }

    #[test]
    fn values_come_in_order_and_head_is_a_get() {
        let parts = parts("/broadcasts/list/10/20");
        assert_eq!(
            find(&Method::HEAD, Scope::Application, &parts),
            Found::Operation(Operation::ListBroadcasts, vec!["10", "20"])
        );
    }

    #[test]
    fn what_is_not_in_the_table_does_not_exist() {
        for (scope, path) in [
            (Scope::Node, "/broadcasts/a"),
            (Scope::Application, "/version"),
            (Scope::Application, "/broadcasts"),
            (Scope::Application, "/broadcasts/list/0"),
            (Scope::Application, "/Broadcasts/a"),
        ] {
            assert_eq!(find(&Method::GET, scope, &parts(path)), Found::Nothing, "{path}");
        }
    }

    #[test]
    fn no_row_is_hidden_by_an_earlier_one() {
        for row in ROUTES {
            let parts = parts(row.path);
            let Found::Operation(operation, _) = find(&row.verb, row.scope, &parts) else {
                panic!("{row:?} cannot be reached")
            };
            assert_eq!(operation, row.operation);
        }
    }
}
