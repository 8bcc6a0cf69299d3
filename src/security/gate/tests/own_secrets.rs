//! Sessions that rest on what is stored of their subscriber.

use cluster_model::SubscriberId;

use super::mechanisms::{id, now_s, refused, subscriber, token, whole, with_code, with_token};
use super::*;
use crate::credential::totp;
use crate::testing::TestGate;
use crate::{PermitState, TotpFault};

const OLD: &str = "mysecret";
const NEW: &str = "mysecres";

fn code_of(secret: &str) -> String {
    totp::code(&totp::key_of_base32(secret).unwrap(), 60, SystemClock.wall())
}

async fn guarded() -> TestGate {
    let whole = whole().await;
    set(&whole.settings, "enableTimeTokenForPlay", json!(true)).await;
    set(&whole.settings, "timeTokenSecretForPlay", json!("of the application")).await;
    whole
}

async fn ends(permit: &Permit) -> ExitReason {
    tokio::time::timeout(std::time::Duration::from_secs(2), permit.died()).await.expect("an end")
}

/// A change that all who follow subscribers have seen when it is felt.
async fn all_is_seen(whole: &TestGate) {
    let bystander = Access { subscriber_id: Some("bystander".to_owned()), ..publish("elsewhere") };
    let permit = whole.gate.admit(bystander).await.unwrap();
    let name = SubscriberId::new("bystander").unwrap();
    whole.subscribers.block(&app(), &id("elsewhere"), &name, "publish", 60).await.unwrap();
    assert_eq!(ends(&permit).await, ExitReason::Blocked);
    whole.subscribers.block(&app(), &id("elsewhere"), &name, "publish", 0).await.unwrap();
}

#[tokio::test]
async fn another_secret_of_a_subscriber_ends_who_came_by_the_old_one_and_nobody_else() {
    let whole = guarded().await;
    subscriber(&whole, "sub1", Some(OLD), None).await;
    subscriber(&whole, "sub2", Some(OLD), None).await;
    let old = whole.gate.admit(with_code("sub1", &code_of(OLD), play("s"))).await.unwrap();
    let other = whole.gate.admit(with_code("sub2", &code_of(OLD), play("s"))).await.unwrap();
    // The same terms again, or a block of something else, change nothing.
    subscriber(&whole, "sub1", Some(OLD), None).await;
    let sub1 = SubscriberId::new("sub1").unwrap();
    whole.subscribers.block(&app(), &id("s"), &sub1, "publish", 60).await.unwrap();
    all_is_seen(&whole).await;
    assert_eq!(old.state(), PermitState::Live);

    subscriber(&whole, "sub1", Some(NEW), None).await;
    assert_eq!(ends(&old).await, ExitReason::Revoked);
    drop(old);
    let denied = refused(&whole, with_code("sub1", &code_of(OLD), play("s"))).await;
    assert_eq!(denied, Some(Denial::Totp(TotpFault::WrongCode)));
    let new = whole.gate.admit(with_code("sub1", &code_of(NEW), play("s"))).await.unwrap();
    all_is_seen(&whole).await;
    assert_eq!((new.state(), other.state()), (PermitState::Live, PermitState::Live));
}

#[tokio::test]
async fn a_subscriber_that_is_deleted_is_out() {
    let whole = guarded().await;
    subscriber(&whole, "sub1", Some(OLD), None).await;
    let one = whole.gate.admit(with_code("sub1", &code_of(OLD), play("s"))).await.unwrap();
    assert!(whole.subscribers.delete(&app(), &id("s"), &SubscriberId::new("sub1").unwrap()).await.unwrap());
    assert_eq!(ends(&one).await, ExitReason::Revoked);
    drop(one);

    // With a secret of the application it is the registration that it came by, where only the registered get in.
    set(&whole.settings, "timeTokenSubscriberOnly", json!(true)).await;
    subscriber(&whole, "sub3", None, None).await;
    let key = totp::derived_key("of the application", "sub3", "s", Direction::Play).unwrap();
    let code = totp::code(&key, 60, SystemClock.wall());
    let registered = whole.gate.admit(with_code("sub3", &code, play("s"))).await.unwrap();
    whole.subscribers.delete_all(&app(), &id("s")).await.unwrap();
    assert_eq!(ends(&registered).await, ExitReason::Revoked);
}

/// Who only names a subscriber, and gets in by something else, does not rest on it.
#[tokio::test]
async fn who_came_by_something_else_stays() {
    let whole = whole().await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    subscriber(&whole, "sub1", Some(OLD), None).await;
    let once = token(&whole, "s", Direction::Play, now_s() + 60).await;
    let wish = Access { subscriber_id: Some("sub1".to_owned()), ..with_token(once.as_str(), play("s")) };
    let permit = whole.gate.admit(wish).await.unwrap();
    subscriber(&whole, "sub1", Some(NEW), None).await;
    whole.subscribers.delete(&app(), &id("s"), &SubscriberId::new("sub1").unwrap()).await.unwrap();
    all_is_seen(&whole).await;
    assert_eq!(permit.state(), PermitState::Live);
}

/// Between the look at the code and the entry in the list a change is told to nobody.
#[tokio::test]
async fn nobody_slips_in_beside_another_secret() {
    let whole = guarded().await;
    subscriber(&whole, "sub1", Some(OLD), None).await;
    let gate = Arc::clone(&whole.gate);
    let code = code_of(OLD);
    let coming = tokio::spawn(async move {
        // One after the other: a subscriber has one connection.
        loop {
            match gate.admit(with_code("sub1", &code, play("s"))).await {
                Ok(permit) if permit.state() == PermitState::Live => tokio::task::yield_now().await,
                Ok(permit) => return Ok(permit.state()),
                Err(denial) => return Err(denial),
            }
        }
    });
    tokio::task::yield_now().await;
    subscriber(&whole, "sub1", Some(NEW), None).await;
    let ended = tokio::time::timeout(std::time::Duration::from_secs(2), coming).await.unwrap().unwrap();
    let refused = Err(Denial::Totp(TotpFault::WrongCode));
    assert!(ended == refused || ended == Ok(PermitState::Dead(ExitReason::Revoked)), "{ended:?}");
}
