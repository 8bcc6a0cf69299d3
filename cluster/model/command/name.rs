//! What commands are called: in reports, and by golden files.

use super::Command;

/// A command that is added is named here, or this does not compile.
macro_rules! names {
    ($($kind:ident: $name:literal,)*) => {
        impl Command {
            /// The names of all kinds, in their order.
            pub const NAMES: &[&str] = &[$($name,)*];

            /// What its kind is called.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind { .. } => $name,)*
                }
            }
        }
    };
}

names! {
    CreateBroadcast: "create_broadcast",
    PatchBroadcast: "patch_broadcast",
    DeleteBroadcast: "delete_broadcast",
    StreamStarted: "stream_started",
    StreamEnded: "stream_ended",
    StreamHeartbeat: "stream_heartbeat",
    ResetAfterRestart: "reset_after_restart",
    PutSettings: "put_settings",
    CreateToken: "create_token",
    SpendToken: "spend_token",
    RevokeToken: "revoke_token",
    RevokeTokens: "revoke_tokens",
    PutSubscriber: "put_subscriber",
    DeleteSubscriber: "delete_subscriber",
    DeleteSubscribers: "delete_subscribers",
    BlockSubscriber: "block_subscriber",
    AcquireSlot: "acquire_slot",
    ReleaseSlot: "release_slot",
    ClaimStream: "claim_stream",
    RenewStreams: "renew_streams",
    ReleaseStream: "release_stream",
    ContestStream: "contest_stream",
    NodeJoined: "node_joined",
    NodeExpired: "node_expired",
    ForgetNode: "forget_node",
    PutUser: "put_user",
    DeleteUser: "delete_user",
    PutVod: "put_vod",
    DeleteVod: "delete_vod",
    RecordFacts: "record_facts",
    Expire: "expire",
    EndSession: "end_session",
    TellCodes: "tell_codes",
    RaiseGeneration: "raise_generation",
}
