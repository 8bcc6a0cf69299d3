//! The set-up code of a node that has no user yet.

use std::sync::Arc;
use std::time::Duration;

use security::door::Users;

/// Time between two tries to learn whether there is a user.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Says by which code the first user can be made from another machine, once it is known that there is none.
#[expect(clippy::print_stderr, reason = "a secret for who starts the node, and for no log")]
pub async fn tell(users: Arc<Users>) {
    loop {
        match users.is_none_there().await {
            Ok(true) => {
                let code = users.set_up_code().expose();
                eprintln!(
                    "penstock: there is no user yet. The first one is made by \"penstock user add\" on this machine, or from \
                     another one with the set-up code {code}"
                );
                return;
            }
            Ok(false) => return,
            Err(error) => tracing::debug!(%error, "whether there is a user is not known yet"),
        }
        actix_rt::time::sleep(ASK_AGAIN).await;
    }
}
