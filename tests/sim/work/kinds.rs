//! What commands are called in the report.

use cluster_model::Command;

/// The names of all of them, in the order of [`kind`].
pub const KINDS: [&str; 31] = [
    "create_broadcast",
    "patch_broadcast",
    "delete_broadcast",
    "stream_started",
    "stream_ended",
    "stream_heartbeat",
    "reset_after_restart",
    "put_settings",
    "create_token",
    "spend_token",
    "revoke_token",
    "revoke_tokens",
    "put_subscriber",
    "delete_subscriber",
    "delete_subscribers",
    "block_subscriber",
    "acquire_slot",
    "release_slot",
    "claim_stream",
    "renew_streams",
    "release_stream",
    "node_joined",
    "node_expired",
    "forget_node",
    "put_user",
    "delete_user",
    "put_vod",
    "delete_vod",
    "record_facts",
    "expire",
    "raise_generation",
];

/// Which of them it is.
pub const fn kind(command: &Command) -> usize {
    match command {
        Command::CreateBroadcast { .. } => 0,
        Command::PatchBroadcast { .. } => 1,
        Command::DeleteBroadcast { .. } => 2,
        Command::StreamStarted { .. } => 3,
        Command::StreamEnded { .. } => 4,
        Command::StreamHeartbeat { .. } => 5,
        Command::ResetAfterRestart => 6,
        Command::PutSettings { .. } => 7,
        Command::CreateToken { .. } => 8,
        Command::SpendToken { .. } => 9,
        Command::RevokeToken { .. } => 10,
        Command::RevokeTokens { .. } => 11,
        Command::PutSubscriber { .. } => 12,
        Command::DeleteSubscriber { .. } => 13,
        Command::DeleteSubscribers { .. } => 14,
        Command::BlockSubscriber { .. } => 15,
        Command::AcquireSlot { .. } => 16,
        Command::ReleaseSlot { .. } => 17,
        Command::ClaimStream { .. } => 18,
        Command::RenewStreams { .. } => 19,
        Command::ReleaseStream { .. } => 20,
        Command::NodeJoined { .. } => 21,
        Command::NodeExpired { .. } => 22,
        Command::ForgetNode { .. } => 23,
        Command::PutUser { .. } => 24,
        Command::DeleteUser { .. } => 25,
        Command::PutVod { .. } => 26,
        Command::DeleteVod { .. } => 27,
        Command::RecordFacts { .. } => 28,
        Command::Expire { .. } => 29,
        Command::RaiseGeneration { .. } => RAISE_GENERATION,
    }
}

/// Applied when a cluster is restored, before its log begins.
pub const RAISE_GENERATION: usize = 30;
