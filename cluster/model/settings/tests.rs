use base::{SystemClock, SystemRandomness};
use serde_json::json;

use super::*;
use crate::SealingKey;
use crate::testing::{InMemory, planes, seals};

fn facade(meta: Arc<dyn Meta>) -> Settings {
    Settings::new(meta, seals(), Arc::new(SystemClock), Arc::new(SystemRandomness))
}

fn app() -> AppName {
    AppName::new("LiveApp").unwrap()
}

#[tokio::test]
async fn settings_are_seeded_once_and_compared_afterwards() {
    for plane in planes() {
        let settings = facade(plane);
        let file = AppSettings::new(&app(), &SystemRandomness);
        assert_eq!(settings.snapshot(&app()), None);
        assert_eq!(settings.get(&app()).await, Ok(None));
        assert_eq!(*settings.seed(&app(), &file).await.unwrap(), file);
        assert_eq!(settings.snapshot(&app()).as_deref(), Some(&file));
        // The file says something else at the next start: the stored document is the truth.
        let other = AppSettings::new(&app(), &SystemRandomness);
        assert_ne!(other, file);
        assert_eq!(*settings.seed(&app(), &other).await.unwrap(), file);
        assert_eq!(settings.put(&app(), 0, &other).await, Err(PutSettingsError::Conflict { version: 1 }));
        assert_eq!(settings.put(&app(), 1, &other).await, Ok(2));
        assert_eq!(settings.snapshot(&app()).as_deref(), Some(&other));
        assert_eq!(settings.get(&app()).await, Ok(Some((2, Arc::new(other)))));
    }
}

#[tokio::test]
async fn settings_are_stored_sealed_and_what_was_not_is_sealed_anew() {
    for plane in planes() {
        let (old, clock, randomness) = (seals(), Arc::new(SystemClock), Arc::new(SystemRandomness));
        let key = |of| SealingKey::new([of; 32]);
        let settings = facade(Arc::clone(&plane));
        let wanted = AppSettings::new(&app(), &SystemRandomness);
        let clear = serde_json::to_value(&wanted).unwrap().as_object().unwrap().clone();
        let command =
            Command::PutSettings { app: app(), expected: 0, document: SettingsDocument(clear.clone()) };
        settings.proposer.propose(command).await.unwrap();
        assert_eq!(settings.get(&app()).await.unwrap().unwrap().1.as_ref(), &wanted);
        let document = async || settings.record(&app()).await.unwrap().unwrap().document.0.clone();
        assert_eq!(document().await, clear);

        settings.seal_anew(&app()).await.unwrap();
        let sealed = document().await;
        let text = sealed["sealed"].as_str().unwrap().to_owned();
        assert!(sealed.len() == 1 && old.is_sealed_now(&text), "{sealed:?}");
        settings.seal_anew(&app()).await.unwrap();
        assert_eq!(document().await, sealed);

        // Another key takes over: it opens both.
        let both = Arc::new(Seals::new(&key(8), [&key(7)]).unwrap());
        let after = Settings::new(Arc::clone(&plane), Arc::clone(&both), clock.clone(), randomness.clone());
        after.seal_anew(&app()).await.unwrap();
        assert!(both.is_sealed_now(document().await["sealed"].as_str().unwrap()));
        assert_eq!(after.get(&app()).await.unwrap().unwrap().1.as_ref(), &wanted);
        let stranger = Arc::new(Seals::new(&key(9), []).unwrap());
        let stranger = Settings::new(plane, stranger, clock, randomness);
        let said = stranger.get(&app()).await.unwrap_err().to_string();
        assert!(said.contains("sealed with another secret"), "{said}");
        // What cannot be opened is never read as settings that say nothing.
        let sealed = document().await["sealed"].as_str().unwrap().replace(":1:", ":2:");
        for (version, broken) in [json!(sealed), json!("text"), json!(7)].into_iter().enumerate() {
            let document = SettingsDocument([("sealed".to_owned(), broken)].into_iter().collect());
            let expected = 3 + version as u64;
            let command = Command::PutSettings { app: app(), expected, document };
            settings.proposer.propose(command).await.unwrap();
            let got = after.get(&app()).await;
            assert!(matches!(got, Err(MetaError::Unreadable(_))), "{got:?}");
        }
    }
}

#[tokio::test]
async fn a_deleted_application_has_no_settings_until_new_ones_are_put() {
    for plane in planes() {
        let (settings, other) = (facade(Arc::clone(&plane)), facade(plane));
        let (old, new) =
            (AppSettings::new(&app(), &SystemRandomness), AppSettings::new(&app(), &SystemRandomness));
        assert_eq!(settings.delete(&app()).await, Ok(false));
        assert_eq!(settings.stored(&app()).await, Ok(StoredSettings::Nothing));
        settings.seed(&app(), &old).await.unwrap();
        let mut changes = settings.changes();
        assert_eq!(settings.delete(&app()).await, Ok(true));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert_eq!((settings.snapshot(&app()), settings.get(&app()).await), (None, Ok(None)));
        let StoredSettings::Deleted { version: 2, at } = other.stored(&app()).await.unwrap() else {
            panic!()
        };
        assert_eq!(other.heard_of(), [(app(), Some(at))]);
        assert_eq!(settings.delete(&app()).await, Ok(false));
        // What was true before it was deleted does not come back.
        assert_eq!(settings.put(&app(), 1, &old).await, Err(PutSettingsError::Conflict { version: 2 }));
        assert_eq!(settings.put(&app(), 0, &old).await, Err(PutSettingsError::Conflict { version: 2 }));
        assert_eq!(*settings.seed(&app(), &new).await.unwrap(), new);
        assert_eq!(settings.heard_of(), [(app(), None)]);
        assert_eq!(other.get(&app()).await, Ok(Some((3, Arc::new(new)))));
    }
}

#[tokio::test]
async fn a_follower_hears_of_settings_that_others_put() {
    for plane in planes() {
        let (writer, reader) = (facade(Arc::clone(&plane)), facade(plane));
        let following = tokio::spawn(reader.clone().follow());
        let wanted = AppSettings::new(&app(), &SystemRandomness);
        writer.put(&app(), 0, &wanted).await.unwrap();
        while reader.snapshot(&app()).as_deref() != Some(&wanted) {
            tokio::task::yield_now().await;
        }
        following.abort();
    }
}

#[tokio::test]
async fn a_follower_that_comes_late_lists_first() {
    let plane = Arc::new(InMemory::new(Arc::new(SystemClock)));
    let writer = facade(Arc::clone(&plane) as _);
    let wanted = AppSettings::new(&app(), &SystemRandomness);
    writer.put(&app(), 0, &wanted).await.unwrap();
    for _ in 0..=base::limits::META_WATCH_LAG_MAX {
        // Conflicts change nothing and are commands all the same.
        writer.put(&app(), 0, &wanted).await.unwrap_err();
    }
    let reader = facade(plane);
    let following = tokio::spawn(reader.clone().follow());
    while reader.snapshot(&app()).as_deref() != Some(&wanted) {
        tokio::task::yield_now().await;
    }
    following.abort();
}
