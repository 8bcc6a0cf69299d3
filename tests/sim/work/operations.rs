//! What of the table of authority sessions ask a node for. The rest of it is the gate's, which is not here.

use cluster_model::{Command, Guarded, Operation};

use super::Wish;

/// What [`operation`] can give.
pub const CARRIED_OUT: [Operation; 6] = [
    Operation::NewPublish,
    Operation::RunningPublish(Guarded::No),
    Operation::SpendToken,
    Operation::Totp,
    Operation::Write,
    Operation::ReadOne,
];

/// What `wish` is in the table: of a running publish its renewal, of a code its connection slot.
pub fn operation(wish: &Wish) -> Option<Operation> {
    let command = match wish {
        Wish::Know(_) => return Some(Operation::ReadOne),
        Wish::Change(command) => &**command,
    };
    Some(match command {
        Command::ClaimStream { .. } => Operation::NewPublish,
        Command::RenewStreams { .. } => Operation::RunningPublish(Guarded::No),
        Command::SpendToken { .. } => Operation::SpendToken,
        Command::AcquireSlot { .. } => Operation::Totp,
        Command::PutSettings { .. }
        | Command::CreateBroadcast { .. }
        | Command::PatchBroadcast { .. }
        | Command::DeleteBroadcast { .. }
        | Command::CreateToken { .. }
        | Command::RevokeToken { .. }
        | Command::RevokeTokens { .. }
        | Command::PutSubscriber { .. }
        | Command::DeleteSubscriber { .. }
        | Command::DeleteSubscribers { .. }
        | Command::BlockSubscriber { .. }
        | Command::PutUser { .. }
        | Command::DeleteUser { .. }
        | Command::PutVod { .. }
        | Command::DeleteVod { .. } => Operation::Write,
        _ => return None,
    })
}
