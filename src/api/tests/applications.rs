//! Applications that are made and deleted over REST.

use super::*;
use crate::{ApplicationFault, ApplicationKeeper, StoredData};

/// Keeps names and nothing else.
#[derive(Default)]
pub(super) struct Names(Mutex<Vec<(String, Option<StoredData>)>>);

#[async_trait]
impl ApplicationKeeper for Names {
    async fn create(&self, app: &AppName) -> Result<(), ApplicationFault> {
        match app.as_str() {
            "LiveApp" => Err(ApplicationFault::Exists),
            "Full" => Err(ApplicationFault::Refused("There is no room".to_owned())),
            "Away" => Err(cluster_model::MetaError::Unknown.into()),
            name => {
                self.0.lock().unwrap().push((name.to_owned(), None));
                Ok(())
            }
        }
    }

    async fn delete(&self, app: &AppName, data: StoredData) -> Result<(), ApplicationFault> {
        if app.as_str() != "LiveApp" {
            return Err(ApplicationFault::Absent);
        }
        self.0.lock().unwrap().push((app.as_str().to_owned(), Some(data)));
        Ok(())
    }
}

#[actix_web::test]
async fn applications_are_made_and_deleted_in_ams_words() {
    let kept = Arc::new(Names::default());
    let keeper = Arc::clone(&kept);
    let node = Node::with(|state| state.keeper = keeper);
    let ask = async |verb, name: &str| {
        json_of(node.call(from(HERE, verb, &format!("/rest/v2/applications/{name}"))).await).await
    };
    let taken = "Application with the same name already exists";
    assert_eq!(ask(Method::POST, "LiveApp").await, (StatusCode::OK, refused(taken)));
    let no_name = "Application name is not alphanumeric. Please provide alphanumeric characters";
    for bad in ["a%2Fb", "a.b", "a%20b", "%C3%A4"] {
        assert_eq!(ask(Method::POST, bad).await, (StatusCode::OK, refused(no_name)), "{bad}");
    }
    assert_eq!(ask(Method::POST, "Full").await, (StatusCode::OK, refused("There is no room")));
    assert_eq!(ask(Method::POST, "Away").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(Method::POST, "My-App_2").await, (StatusCode::OK, done("")));
    assert_eq!(ask(Method::DELETE, "liveapp").await.1, refused("There is no such application"));
    assert_eq!(ask(Method::DELETE, "LiveApp").await, (StatusCode::OK, done("")));
    assert_eq!(ask(Method::DELETE, "LiveApp?deleteDB=false").await.1, done(""));
    assert_eq!(ask(Method::DELETE, "LiveApp?deleteDB=true").await.1, done(""));
    let of = |data| ("LiveApp".to_owned(), Some(data));
    let (made, keeps) = (("My-App_2".to_owned(), None), of(StoredData::Kept));
    assert_eq!(*kept.0.lock().unwrap(), [made, keeps.clone(), keeps, of(StoredData::Deleted)]);
}

#[actix_web::test]
async fn rest_of_an_application_comes_and_goes_with_its_name() {
    let node = Node::new();
    let names = node.state.applications.clone();
    let app = App::new()
        .app_data(node.state.clone())
        .configure(|server| crate::configure_rest(server, &names))
        .configure(|server| {
            let elsewhere = || async { actix_web::HttpResponse::ImATeapot().finish() };
            server.route("/{app}/{what}", web::get().to(elsewhere)).configure(configure);
        });
    let app = init_service(app).await;
    let ask = async |path: &str| {
        let request = from(HERE, Method::GET, path).to_request();
        call_service(&app, request).await.status()
    };
    let new = AppName::new("New").unwrap();
    assert_eq!(ask("/New/rest/v2/version").await, StatusCode::NOT_FOUND);
    assert_eq!(ask("/New/rest").await, StatusCode::IM_A_TEAPOT);
    names.insert(&new);
    node.state.settings.seed(&new, &AppSettings::default()).await.unwrap();
    assert_eq!(ask("/New/rest/v2/version").await, StatusCode::OK);
    assert_eq!(ask("/New/rest").await, StatusCode::NOT_FOUND);
    assert_eq!(ask("/rest/v2/version").await, StatusCode::OK);
    names.remove(&new);
    assert_eq!(ask("/New/rest").await, StatusCode::IM_A_TEAPOT);
}
