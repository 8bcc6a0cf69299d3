//! Every limit an outsider can run into: its unit, its reason and what happens beyond it. One table, which is why it is
//! long.
//!
//! Units stand last in the names. A limit that users may set has its default here and its key in
//! `penstock.toml`.

use std::time::Duration;

// -- names

/// Stream ids, application and track names. AMS takes 256 characters; longer: refused.
pub const STREAM_ID_BYTES_MAX: usize = 256;

// -- tracks and rings

/// What a ring holds at most, in stream time. Older units go; a reader left behind jumps forward.
pub const RING_DURATION_MAX: Duration = Duration::from_secs(10);
/// What a ring holds at most, in payload bytes (8.3 s of 15 Mbit/s). Older units go.
pub const RING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Units or packet runs in a ring, against floods of empty ones. Older units go.
pub const RING_ENTRIES_MAX: usize = 16_384;
/// What all live media of a node holds: rings and unfinished messages, in MiB. Beyond it the largest
/// rings let their oldest units go.
pub const MEDIA_MEMORY_MIB_MAX: usize = 1_024;
/// Share of the media budget up to which publishers are let in, in percent. Beyond: refused as overload.
pub const MEDIA_ADMISSION_PERCENT_MAX: usize = 80;
/// When the media budget is spent, this part of it is made free at once.
pub const MEDIA_BUDGET_ROOM_DIVISOR: usize = 16;
/// Share of the media budget that messages not whole yet may hold, in percent. Beyond: sessions that hold
/// more than their part of it and want more are ended.
pub const MEDIA_UNFINISHED_PERCENT_MAX: usize = 25;
/// The same for sessions that nobody let in yet, and for what data channels of players hold. More: as there, but of a player only its data channels end.
pub const MEDIA_STRANGERS_PERCENT_MAX: usize = 5;
/// Tracks of one stream. More are refused.
pub const TRACKS_PER_STREAM_MAX: usize = 16;
/// One unit (an access unit or an audio frame). Larger: the publisher is ended.
pub const UNIT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// NAL units of one access unit. More: the unit is malformed.
pub const NALS_PER_UNIT_MAX: usize = 1_024;
/// One SPS or PPS. Larger: malformed.
pub const PARAMETER_SET_BYTES_MAX: usize = 4_096;
/// SPS, and as many PPS, of one track: they go to every player before every key frame. More: malformed.
pub const PARAMETER_SETS_MAX: usize = 31;
/// SPS and PPS of one track together, in bytes. More: malformed.
pub const PARAMETER_SETS_BYTES_MAX: usize = 16_384;
/// Width or height of a picture, in pixels (H.264 level 6.2 ends at 16,880). Larger: malformed.
pub const PICTURE_SIDE_PIXELS_MAX: u32 = 16_384;

// -- rtp sources

/// One RTP payload of a publisher: with header, extensions and tag it fits a datagram of 1,500 bytes to a
/// player. Larger: dropped, and lost with that.
pub const RTP_PAYLOAD_BYTES_MAX: usize = 1_400;
/// How long a packet of pictures that is missing is waited for: the publisher is asked for it meanwhile. Longer:
/// its frame and what follows are dropped until the next key frame.
pub const RTP_PICTURE_HOLE_WAIT_MAX: Duration = Duration::from_millis(500);
/// How long a packet of sound that is missing is waited for: what is out of order on its way comes within that,
/// and players conceal a packet sooner than they wait for it. Longer: the hole is passed on.
pub const RTP_SOUND_HOLE_WAIT_MAX: Duration = Duration::from_millis(60);
/// Packets of one kind that wait behind a hole (half a second of 36 Mbit/s), and how far behind the newest one a packet
/// may be that is sent again. More: the hole is given up.
pub const RTP_REORDER_PACKETS_MAX: usize = 2_048;
/// Payload bytes of one kind that wait behind a hole. More: the hole is given up.
pub const RTP_REORDER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Packets of one frame, whose bytes are bounded by [`UNIT_BYTES_MAX`]. More: the frame is dropped as broken.
pub const RTP_FRAME_PACKETS_MAX: usize = 8_192;
/// Packet numbers that a hole leaves free (10 s of sound). A larger one is closed: receivers count its packets as
/// lost, and beyond half the circle of their 16 bits would lose count.
pub const RTP_HOLE_PACKETS_MAX: u64 = 512;
// -- messages

/// One message of a data channel, or by REST (AMS's SDK sends 16,004 bytes at most). Larger: refused, and the data channels of a player that sends one are closed.
pub const DATA_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Messages a stream keeps for those who are still to be sent them. More: the oldest go, and who had not been sent them goes on without.
pub const DATA_RING_MESSAGES_MAX: usize = 2_048;
/// Payload bytes of these messages. More: as there.
pub const DATA_RING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a stream keeps a message. Longer: it goes.
pub const DATA_RING_AGE_MAX: Duration = Duration::from_secs(10);

// -- data channels of players

/// SCTP streams a player's association has each way, so half as many channels for each side to open. Beyond: refused.
pub const DATA_STREAMS_MAX: u16 = 64;
/// Bytes of unfinished messages a player may have on their way to us. More: SCTP holds it back.
pub const DATA_RECEIVE_BYTES_MAX: usize = 128 * 1024;
/// DATA chunks a player's packet may be ahead of one that is missing. Further: dropped, to be sent again.
pub const DATA_CHUNKS_AHEAD_MAX: i32 = 512;
/// DATA chunks of a player's unfinished messages. More: its data channels are closed.
pub const DATA_CHUNKS_HELD_MAX: usize = 1_024;
/// Times a player may close channels in its life. More: all of its data channels are closed.
pub const DATA_RESETS_MAX: u32 = 16;
/// Bytes that wait in SCTP for a player to acknowledge them, and one message more. Beyond: it is sent no further ones until it does, and skips what its stream has forgotten by then.
pub const DATA_UNACKNOWLEDGED_BYTES_MAX: usize = 64 * 1024;
/// The same in messages.
pub const DATA_UNACKNOWLEDGED_MESSAGES_MAX: usize = 256;
/// Messages handed to a player's SCTP in one turn of it; the rest has the next one.
pub const DATA_MESSAGES_PER_TURN_MAX: usize = 16;
/// Messages a second of one player, on average. More: dropped.
pub const DATA_MESSAGES_PER_SECOND_MAX: u64 = 100;
/// Messages a player may send at once when it sent none for a while (1 MB by AMS's SDK are 63). More: dropped.
pub const DATA_BURST_MESSAGES_MAX: u64 = 400;
/// Messages a player may be ahead of [`DATA_MESSAGES_PER_SECOND_MAX`], dropped ones included. More: it is ended.
pub const DATA_PATIENCE_MESSAGES_MAX: u64 = 6_000;
/// Bytes a second of one player's messages, on average: each goes to every other player. More: dropped.
pub const DATA_BYTES_PER_SECOND_MAX: u64 = 128 * 1024;
/// Bytes a player may send at once when it sent none for a while. More: dropped.
pub const DATA_BURST_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Bytes a player may be ahead of [`DATA_BYTES_PER_SECOND_MAX`], dropped ones included. More: it is ended.
pub const DATA_PATIENCE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes a second of a publisher's messages, on average. More: dropped.
pub const DATA_PUBLISHER_BYTES_PER_SECOND_MAX: u64 = 1024 * 1024;
/// Bytes a publisher may send at once when it sent none for a while. More: dropped.
pub const DATA_PUBLISHER_BURST_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// What a message of a publisher's costs beside its bytes, so that empty ones have a limit.
pub const DATA_MESSAGE_COST_BYTES: u64 = 256;
/// Bytes of unfinished messages a publisher may have on their way to us. More: SCTP holds it back.
pub const DATA_PUBLISHER_RECEIVE_BYTES_MAX: usize = 256 * 1024;
/// DATA chunks of a publisher since nothing of its was unfinished. More: its packets are dropped.
pub const DATA_PUBLISHER_CHUNKS_HELD_MAX: usize = 16_384;
/// Times a publisher may begin its SCTP association: it repeats its INIT eight times (RFC 9260 16). More: dropped.
pub const DATA_PUBLISHER_INITS_MAX: u32 = 9;
/// Data channels of one publisher. More: not listened to.
pub const DATA_PUBLISHER_CHANNELS_MAX: usize = 8;
/// SCTP packets a second of one player, acknowledgements of what it is sent among them. More: dropped unread.
pub const DATA_PACKETS_PER_SECOND_MAX: u64 = 4_000;

// -- rtmp

/// One message of a publisher that passed the gate (AMS: 4 MiB; key frames of 4K are larger). Larger: ended.
pub const RTMP_MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// One message before the gate let the publisher in. Larger: ended.
pub const RTMP_MESSAGE_BYTES_BEFORE_PUBLISH_MAX: usize = 64 * 1024;
/// Bytes of unfinished messages per connection, over all chunk streams. More: ended.
pub const RTMP_REASSEMBLY_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Chunk streams per connection. More: ended.
pub const RTMP_CHUNK_STREAMS_MAX: usize = 64;
/// Chunk size that is used at most; no message is longer. A peer that sets a larger one means this one.
pub const RTMP_CHUNK_SIZE_MAX: u32 = 16_777_215;
/// Bytes a peer may send before the handshake and `connect` are through. More: ended.
pub const RTMP_BYTES_BEFORE_CONNECT_MAX: usize = 128 * 1024;
/// Commands before `publish`. More: ended.
pub const RTMP_COMMANDS_BEFORE_PUBLISH_MAX: usize = 64;
/// Time for the handshake (AMS: 5 s). Longer: ended.
pub const RTMP_HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Time from the handshake to `publish`. Longer: ended.
pub const RTMP_PUBLISH_WAIT_MAX: Duration = Duration::from_secs(10);
/// Time a publisher may send no whole message (AMS: 60 s of no byte). Longer: ended.
pub const RTMP_SILENCE_MAX: Duration = Duration::from_secs(60);
/// Time a peer may take nothing of what it is told. Longer: ended.
pub const RTMP_WRITE_STALL_MAX: Duration = Duration::from_secs(10);
/// RTMP connections of one address. More: refused before the handshake.
pub const RTMP_CONNECTIONS_PER_ADDRESS_MAX: usize = 256;
/// RTMP connections of the node. More: refused before the handshake.
pub const RTMP_CONNECTIONS_MAX: usize = 8_192;
/// Bytes waiting to be sent to an RTMP publisher that does not read. More: ended.
pub const RTMP_SEND_BYTES_MAX: usize = 256 * 1024;
/// Messages of one connection in a second (60 fps and 94 audio frames are 154, a catching-up encoder some thousands). More: ended.
pub const RTMP_MESSAGES_PER_SECOND_MAX: u32 = 20_000;
/// Commands, metadata and other messages that are neither audio nor video. Larger: ended.
pub const RTMP_CONTROL_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Query parameters of a publish URL. More: refused.
pub const RTMP_QUERY_PAIRS_MAX: usize = 64;
/// Fields of `onMetaData` that are kept. More: not kept.
pub const RTMP_METADATA_FIELDS_MAX: usize = 64;
/// One text of `onMetaData`, or one `flashVer`. Longer: cut.
pub const RTMP_TEXT_BYTES_MAX: usize = 256;
/// Broken units or tags in a row that are skipped. More: ended.
pub const RTMP_BROKEN_UNITS_MAX: u32 = 100;

// -- AMF0

/// Nesting of AMF0 objects and arrays. Deeper: malformed.
pub const AMF_DEPTH_MAX: usize = 16;
/// Values in one AMF0 message. More: malformed.
pub const AMF_VALUES_MAX: usize = 4_096;

// -- signalling

/// One incoming signalling message (AMS: 81,920 bytes). Larger: the socket is closed.
pub const SIGNALLING_MESSAGE_BYTES_MAX: usize = 81_920;
/// Signalling messages per second of one socket, on average. More: the socket is closed.
pub const SIGNALLING_MESSAGES_PER_SECOND_MAX: u32 = 100;
/// Play sessions on one signalling socket. More: `highResourceUsage`.
pub const PLAYS_PER_SOCKET_MAX: usize = 64;
/// Streams published over one signalling socket. More: `highResourceUsage`.
pub const PUBLISHES_PER_SOCKET_MAX: usize = 64;
/// WebRTC publishers of the node. More: `highResourceUsage`.
pub const PUBLISHERS_MAX: usize = 4_096;
/// WebRTC publishers of one address (or IPv6 /56). More: `highResourceUsage`.
pub const PUBLISHERS_PER_ADDRESS_MAX: usize = 256;
/// Characters of a client's own name that are kept. More: cut off.
pub const USER_AGENT_CHARS_MAX: usize = 256;
/// Characters of what a viewer says of itself (`viewerInfo`). Longer: cut.
pub const VIEWER_INFO_CHARS_MAX: usize = 1_024;
/// Streams one signalling socket may wait for. More: not told when they begin.
pub const WAITS_PER_SOCKET_MAX: usize = 64;
/// WebRTC players of one address (or IPv6 /56). More: `highResourceUsage`.
pub const PLAYS_PER_ADDRESS_MAX: usize = 2_048;
/// WebRTC players of one address that are not connected yet. More: `highResourceUsage`.
pub const JOINS_PER_ADDRESS_MAX: usize = 128;
/// Signalling sockets of one address. More: 429 before the upgrade.
pub const SIGNALLING_SOCKETS_PER_ADDRESS_MAX: usize = 1_024;
/// Signalling sockets of the node. More: 503 before the upgrade.
pub const SIGNALLING_SOCKETS_MAX: usize = 65_536;
/// Messages waiting for a signalling peer that does not read. More: the socket is dropped.
pub const SIGNALLING_SEND_QUEUE_MAX: usize = 256;
/// Pings a signalling peer may leave unanswered, at one per 5 s and one per 64 messages to it. More: dropped.
pub const SIGNALLING_PINGS_UNANSWERED_MAX: usize = 24;
/// A signalling socket that sends nothing for this long is closed (the SDK pings every 3 s, and every client answers our pings, one per 5 s).
pub const SIGNALLING_SILENCE_MAX: Duration = Duration::from_secs(30);
/// Plays begun by WHEP on the node, and publishers by WHIP. More of either: 503.
pub const HTTP_SESSIONS_MAX: usize = 65_536;
/// Streams of one application that viewers wait for. More: not told when they begin.
pub const WAITERS_PER_APPLICATION_MAX: usize = 100_000;

// -- webrtc play

/// Largest datagram sent: IPv6 minimum MTU less headers, a tunnel's share and the SRTP tag.
pub const RTP_PACKET_BYTES_MAX: usize = 1_200;
/// One SDP. Larger: refused, by WHEP with 413.
pub const SDP_BYTES_MAX: usize = 64 * 1024;
/// m-lines of one SDP. More: refused.
pub const SDP_MEDIA_MAX: usize = 64;
/// Players of one shard. More: `highResourceUsage`.
pub const PLAYERS_PER_SHARD_MAX: usize = 4_096;
/// Players of one shard whose handshake is not through. More: `highResourceUsage`.
pub const HANDSHAKES_PER_SHARD_MAX: usize = 1_024;
/// Time from the offer to connected: the default of `webRTCClientStartTimeoutMs`. Longer: ended.
pub const PLAY_CONNECT_MAX: Duration = Duration::from_secs(10);
/// Time for the answer to a further offer, made because the stream has changed. Longer: the player is ended.
pub const OFFER_ANSWER_MAX: Duration = Duration::from_secs(10);
/// The most `webRTCClientStartTimeoutMs` may allow. A larger value counts as this.
pub const PLAY_CONNECT_SETTING_MAX: Duration = Duration::from_secs(60);
/// A player without an authenticated packet for this long is gone.
pub const PLAYER_SILENCE_MAX: Duration = Duration::from_secs(8);
/// Addresses of one player that passed ICE. More: the oldest is forgotten.
pub const PLAYER_ADDRESSES_MAX: usize = 8;
/// A player's address that was silent for this long may be another player's, and its media may move to a newly nominated one (a browser checks every 2.5 s).
pub const PLAYER_ADDRESS_SILENCE_MAX: Duration = Duration::from_secs(3);
/// Bytes of a DTLS ClientHello held until it is whole. More: the player is ended.
pub const DTLS_HELLO_BYTES_MAX: usize = 8 * 1024;
/// Times one packet is sent again. More: not sent.
pub const NACK_RESENDS_MAX: u8 = 3;
/// Share of a track's rate spent on sending packets again, in percent. More: not sent.
pub const NACK_SHARE_PERCENT_MAX: usize = 15;
/// Bytes a track may send again at once when it sent nothing again for a while. More: not sent.
pub const NACK_BURST_BYTES_MAX: usize = 64 * 1024;
/// Packets of one track waiting to be sent again. More: not sent.
pub const NACK_QUEUE_MAX: usize = 512;
/// Packets of one track whose resends are counted. More: the oldest are forgotten and not sent again.
pub const NACK_PACKETS_COUNTED_MAX: usize = 1_024;
/// Pace of a replay of the group of pictures, bits per second, unless the track's rate asks for more.
pub const REPLAY_BITRATE: u64 = 10_000_000;
/// Pace of a replay as a multiple of the track's rate, where that is more than [`REPLAY_BITRATE`].
pub const REPLAY_RATE_FACTOR: u64 = 5;
/// How long a replay keeps that pace on a path nobody has reported on; then 2.5 times the track's rate until a report says that the path has room.
pub const REPLAY_PROBE: Duration = Duration::from_millis(250);
/// Rest between the end of a replay and one that the player's reports ask for. Earlier: ignored.
pub const REPLAY_REST_MIN: Duration = Duration::from_millis(500);
/// A replay that goes on for this long may begin anew when packets of it are lost for good. Earlier: ignored.
pub const REPLAY_RESTART_MIN: Duration = Duration::from_secs(1);
/// How long it has to go on at most for that; each time doubles what it has to.
pub const REPLAY_RESTART_MAX: Duration = Duration::from_secs(16);
/// The slowest pace of any track, bits per second.
pub const PACE_BITRATE_MIN: u64 = 1_000_000;
/// What a track may send at once before its pace counts, in bytes: 32 packets.
pub const PACE_BURST_BYTES: u64 = 32 * 1_200;
/// How long a frame waits for its pace and the socket. Longer: whole frames are dropped for that player.
pub const PLAY_BACKLOG_MAX: Duration = Duration::from_secs(1);
/// DTLS bytes taken from a player until its handshake is through (one has 4 KiB; it may be repeated), records of any epoch; from then on only handshake messages and what no key protects. More: the player is ended during the handshake, later the datagram is dropped.
pub const DTLS_HANDSHAKE_BYTES_MAX: usize = 32 * 1024;
/// DTLS datagrams that may bring [`DTLS_HANDSHAKE_BYTES_MAX`]. More: as there.
pub const DTLS_HANDSHAKE_DATAGRAMS_MAX: usize = 128;
/// Smallest fragment of a DTLS handshake message but for its last. Smaller: dropped.
pub const DTLS_FRAGMENT_BYTES_MIN: usize = 64;
/// SSRCs a player's receiver reports may come from. More: dropped.
pub const SRTCP_SENDERS_MAX: usize = 8;
/// STUN answers, DTLS flights and RTCP waiting for a shard's socket. More: dropped, the peer asks again.
pub const SHARD_CONTROL_DATAGRAMS_MAX: usize = 4_096;
/// Datagrams taken from a shard's socket in a turn that media does not wait for.
pub const SHARD_DATAGRAMS_PER_TURN_MAX: usize = 256;
/// Datagrams taken in one turn while media waits: a flood has a part of the time, not half.
pub const SHARD_DATAGRAMS_PER_BUSY_TURN_MAX: usize = 64;
/// Sends of a shard before it looks at its socket and for new frames again.
pub const SHARD_SENDS_PER_TURN_MAX: usize = 64;
/// DTLS datagrams of one player's handshake that wait for its shard. More: dropped, the peer repeats its flight.
pub const PLAYER_HANDSHAKE_DATAGRAMS_MAX: u8 = 8;
/// The largest datagram a play shard looks at; whoever sends more does not speak WebRTC. Larger: dropped.
pub const SHARD_DATAGRAM_BYTES_MAX: usize = 2_048;
/// TCP connections of media of the node. More: closed unread.
pub const MEDIA_TCP_CONNECTIONS_MAX: usize = 16_384;
/// TCP connections of media of one address (or IPv6 /56). More: closed unread.
pub const MEDIA_TCP_CONNECTIONS_PER_ADDRESS_MAX: usize = 2_048;
/// Time for the first frame of a media connection, which says whose it is. Longer: closed.
pub const MEDIA_TCP_HELLO_MAX: Duration = Duration::from_secs(5);
/// A media connection over which nothing comes for this long is closed (a browser checks every 2.5 s).
pub const MEDIA_TCP_SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long a media connection may take nothing of what is sent. Longer: closed.
pub const MEDIA_TCP_WRITE_STALL_MAX: Duration = Duration::from_secs(10);
/// Bytes waiting for a media connection to take them: half a second of 4 Mbit/s. More: dropped, as on any path.
pub const MEDIA_TCP_OUTBOX_BYTES_MAX: usize = 256 * 1024;
/// Datagrams that a shard's media connections have brought and that wait for it. More: dropped.
pub const MEDIA_TCP_BROUGHT_MAX: usize = 4_096;
/// Offers of one publisher that wait for an answer. More: the sender waits.
pub const PUBLISHER_OFFERS_MAX: usize = 2;
/// Events of a publisher's connection that wait for its session. More: not taken.
pub const PUBLISHER_EVENTS_MAX: usize = 32;
/// A WebRTC publisher's connection over which nothing has come for this long is gone.
pub const PUBLISH_PEER_SILENCE_MAX: Duration = Duration::from_secs(8);
/// How often one packet of a publisher's is asked for. More often: it is given up, and a key frame wanted.
pub const PUBLISHER_NACKS_PER_PACKET_MAX: u16 = 12;
/// Between two requests for it. Browsers answer one at most in each round trip; [`RTP_PICTURE_HOLE_WAIT_MAX`] has room for
/// three answers on a path of 150 ms, since each of them, and each request, may be lost, too.
pub const PUBLISHER_NACK_INTERVAL: Duration = Duration::from_millis(40);
/// Requests of other kinds that wait for a publisher's connection. More: not made, and made again by who wants it.
pub const PUBLISHER_REQUESTS_MAX: usize = 8;
/// A source of a publisher that did not name its sources, and of which nothing has come for this long, may be followed by
/// another. Earlier: the other's packets are not taken.
pub const PUBLISHER_SOURCE_SILENCE_MAX: Duration = Duration::from_secs(1);
/// Names of sources (SSRCs) that one publisher may use in its life: its connection keeps the state of each. More: their
/// packets are dropped.
pub const GUEST_SOURCES_MAX: usize = 64;
/// Between two requests for a key frame to one publisher.
pub const KEY_FRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(500);
/// The largest datagram a publisher's connection is given. Larger: dropped.
pub const GUEST_DATAGRAM_BYTES_MAX: usize = 2_048;
/// Datagrams waiting for a publisher's connection: a large key frame sent at once. More: dropped, and asked for again.
pub const GUEST_DATAGRAMS_MAX: usize = 1_024;
/// Packets that one datagram of feedback may ask for. More: not looked at.
pub const NACK_PACKETS_PER_DATAGRAM_MAX: usize = 512;
/// Players of a shard that are ended in one turn; the rest have the next one.
pub const SHARD_ENDS_PER_TURN_MAX: usize = 64;
/// Players of a shard whose statistics are sampled in one turn; the rest have the next one.
pub const SHARD_SAMPLES_PER_TURN_MAX: usize = 64;
/// Share of its time that a shard spends on joins while media waits, in percent. The rest waits.
pub const SHARD_JOIN_SHARE_PERCENT_MAX: u32 = 20;
/// Time a join waits for its shard. Longer: `highResourceUsage`.
pub const SHARD_JOIN_WAIT_MAX: Duration = Duration::from_secs(5);
/// Joins waiting for a shard. More: `highResourceUsage`.
pub const SHARD_JOINS_MAX: usize = 512;
/// Commands a shard takes in one turn of its loop; the rest have the next one.
pub const SHARD_COMMANDS_PER_TURN_MAX: usize = 32;
/// Commands waiting for a shard. More: the command is refused.
pub const SHARD_COMMANDS_MAX: usize = 1_024;
/// Share of the last 2 s that a shard was busy, in percent. More: new players get `highResourceUsage`.
pub const SHARD_BUSY_PERCENT_MAX: u8 = 75;
/// How late a frame is begun for a player, in milliseconds. Later: that player misses frames.
pub const SHARD_LATE_MS_MAX: u16 = 200;

// -- actors

/// A publisher that sends no media for this long gives way to another one that passes the gate.
pub const PUBLISHER_SILENCE_MAX: Duration = Duration::from_secs(3);
/// Mailbox of an Application or Stream actor, for messages that nobody waits for.
pub const MAILBOX_MESSAGES_MAX: usize = 1_024;
/// Requests to the actors under way on a node (publish, play, wait, look-up). More: refused as overload.
pub const ACTOR_REQUESTS_MAX: usize = 4_096;
/// Streams of one application. More: refused as overload.
pub const STREAMS_PER_APPLICATION_MAX: usize = 10_000;
/// Mailbox of a Subscriber: it gets an attachment per stream it plays. Full: refused as overload.
pub const SUBSCRIBER_MAILBOX_MESSAGES_MAX: usize = 64;
/// Subscribers of one stream. More: `viewerLimitReached`.
pub const SUBSCRIBERS_PER_STREAM_MAX: usize = 100_000;
/// Between two players of a stream that has ended, until none is left to be told of. Longer: the rest is given up, and
/// the log says how many.
pub const SUBSCRIBER_ENDS_WAIT_MAX: Duration = Duration::from_secs(10);

// -- applications

/// Applications of a node. Each costs an actor, two watches and settings on every node. More: not made over REST. One
/// that was deleted leaves a tombstone, which counts towards [`APPLICATIONS_MAX`].
pub const APPLICATIONS_MADE_MAX: usize = 100;
/// The name of an application that is made over REST, in bytes: a file system takes 255, and the folder of one that is deleted
/// is called more than that. Longer: not made.
pub const APPLICATION_NAME_BYTES_MAX: usize = 200;
/// Applications that are to be made or deleted at the same time. More: refused, to be tried again.
pub const APPLICATION_REQUESTS_MAX: usize = 16;
/// How long the streams of an application that is deleted are waited for. Longer: they end without anybody who waits.
pub const APPLICATION_ENDS_WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two tries to do what is stored of applications, where that failed.
pub const APPLICATION_TRIED_AGAIN: Duration = Duration::from_secs(1);
/// Broadcasts of a deleted application that are deleted at the same time; the others wait.
pub const BROADCASTS_DELETED_AT_ONCE_MAX: usize = 16;

// -- transcoding

/// How long a transcoded audio packet is held so that bursts become an even pace. Later ones go at once.
pub const AUDIO_PACE_MAX: Duration = Duration::from_millis(60);
/// Jobs at work in the audio pool or waiting for it, over all streams; a stream has one at a time.
/// More: that stream's audio skips.
pub const AUDIO_JOBS_MAX: usize = 1_024;
/// Units one job of the audio pool converts.
pub const AUDIO_UNITS_PER_JOB_MAX: usize = 16;
/// One coded AAC frame (13 bits of length in ADTS; 768 bytes per channel in ISO/IEC 14496-3).
/// Larger: skipped.
pub const AAC_FRAME_BYTES_MAX: usize = 8_191;
/// A transcoder that nobody wants for this long ends.
pub const TRANSCODER_IDLE_MAX: Duration = Duration::from_secs(5);
/// Streams of one node whose sound is transcoded by another program. More: their players get no sound.
pub const SOUND_CHILDREN_MAX: usize = 64;
/// How long a transcoding program may take nothing, or give nothing for what it took. Longer: it is started anew.
pub const CHILD_STALL_MAX: Duration = Duration::from_secs(5);
/// Units a transcoding program may have taken since it last gave something, when that has been a while.
pub const CHILD_UNITS_INSIDE_MAX: u64 = 60;
/// How long a transcoding program may take to catch up with its source. Longer: the machine is too slow for it.
pub const CHILD_CATCH_UP_MAX: Duration = Duration::from_secs(12);
/// How far what a program transcodes may be behind its source. Further: the machine is too slow for it.
pub const TRANSCODED_LAG_MAX: Duration = Duration::from_secs(3);
/// A transcoding program that ran for this long ran well: its next failure counts as the first.
pub const CHILD_STEADY_MIN: Duration = Duration::from_secs(30);
/// Failures in a row after which players are refused, and for how long until it is tried again.
pub const CHILD_FAILURES_MAX: u32 = 3;
/// See [`CHILD_FAILURES_MAX`].
pub const CHILD_REST: Duration = Duration::from_secs(30);
/// Pause after the first failure of a transcoding program; after further ones as many times that.
pub const CHILD_RESTART_MIN: Duration = Duration::from_millis(300);
/// How long a player may wait for what has to be transcoded for it. Longer: refused.
pub const TRANSCODED_WAIT_MAX: Duration = Duration::from_secs(12);
/// A player that was not answered for so long, because something is made for it first, is told that it begins soon.
pub const STARTS_SOON_AFTER: Duration = Duration::from_secs(1);
/// How long it waits for sound that has to be transcoded, when its pictures are there. Longer: sound joins later.
pub const TRANSCODED_SOUND_WAIT_MAX: Duration = Duration::from_secs(3);

// -- metadata plane

/// Broadcasts stored per application. More: refused.
pub const BROADCASTS_PER_APPLICATION_MAX: usize = 100_000;
/// One stored broadcast as JSON. Larger: refused.
pub const BROADCAST_BYTES_MAX: usize = 64 * 1024;
/// Commands waiting for the local store. More: NotApplied.
pub const META_COMMANDS_MAX: usize = 4_096;
/// Commands that share one transaction of the local store. More: they wait for the next one.
pub const META_COMMANDS_PER_COMMIT_MAX: usize = 1_024;
/// Rest between two tries to write to a metadata store whose disk was full. Commands meanwhile: NotApplied.
pub const META_FULL_REST: Duration = Duration::from_secs(1);
/// What other nodes said and was not taken up yet. More: lost, and said again.
pub const META_INBOX_MAX: usize = 4_096;
/// Writes of what the log already has that wait for the next sync. More: they are written by themselves.
pub const META_UNSYNCED_WRITES_MAX: usize = 256;
/// Changes a watcher may lag behind. More: it is told to re-list.
pub const META_WATCH_LAG_MAX: usize = 1_024;
/// For how long changes are kept for watchers. Older: the watcher is told to re-list. A heartbeat of each live stream is
/// such a change, every 10 s, as large as its record.
pub const META_WATCH_AGE_MAX: Duration = Duration::from_secs(60);
/// Changes of those commands together. More: the oldest commands go, and who was not told of them lists again.
pub const META_WATCH_CHANGES_MAX: usize = 65_536;
/// Request ids remembered so that a retry is applied once (over a minute at 1,000 commands per second,
/// retries end within seconds). Older ones are forgotten: such a retry would be applied anew.
pub const META_REQUESTS_REMEMBERED_MAX: usize = 65_536;
/// Rows one sweeping command changes. More: the command is given again.
pub const META_SWEEP_ROWS_MAX: usize = 1_000;
/// Broadcasts of one list (AMS's `MAX_ITEM_IN_ONE_LIST`). More: cut off.
pub const BROADCASTS_PER_LIST_MAX: usize = 250;
/// Applications with stored settings or broadcasts. More: refused.
pub const APPLICATIONS_MAX: usize = 1_024;
/// Stored settings of one application as JSON. Larger: refused.
pub const SETTINGS_BYTES_MAX: usize = 1024 * 1024;
/// One-time tokens stored per application. More: refused.
pub const TOKENS_PER_APPLICATION_MAX: usize = 1_000_000;
/// One token's text. Longer: it is nobody's token.
pub const TOKEN_ID_BYTES_MAX: usize = 256;
/// How long a spent token is remembered, so that its session may repeat it and its revocation ends that. Older: swept, and then
/// unknown to everybody.
pub const TOKEN_SPENT_KEPT: Duration = Duration::from_secs(3_600);
/// Subscribers stored per application. More: refused.
pub const SUBSCRIBERS_PER_APPLICATION_MAX: usize = 1_000_000;
/// One subscriber's id. Longer: refused.
pub const SUBSCRIBER_ID_BYTES_MAX: usize = 256;
/// One stored subscriber as JSON. Larger: refused.
pub const SUBSCRIBER_BYTES_MAX: usize = 4 * 1024;
/// Connections of one subscriber at a time, whatever its own limit says. More: refused.
pub const SLOTS_PER_SUBSCRIBER_MAX: usize = 1_000;
/// Connection slots held in one application. More: refused.
pub const SLOTS_PER_APPLICATION_MAX: usize = 1_000_000;
/// Streams of one application that nodes may have claimed at a time. More: refused.
pub const CLAIMS_PER_APPLICATION_MAX: usize = 100_000;
/// How long a claim holds from the leader's stamp on, unless it is renewed. Longer: anybody may claim the stream.
pub const CLAIM_LEASE: Duration = Duration::from_secs(6);
/// How long its owner relies on it, by its own clock, from before it asked. Longer: it takes itself for isolated.
pub const CLAIM_LEASE_OF_OWNER: Duration = Duration::from_secs(5);
/// How long the owner's link must be down before a contender may have its stream. Shorter: the owner keeps it.
pub const CLAIM_LINK_DOWN_MIN: Duration = Duration::from_millis(750);
/// How long the owner's publisher must be silent before a contender may have its stream. Shorter: the owner keeps it.
pub const CLAIM_SILENCE_MIN: Duration = Duration::from_secs(2);
/// How long a publisher waits for a stream of another node, which was asked for it. Longer: refused, the other one has it.
pub const CLAIM_CONTEST_MAX: Duration = Duration::from_millis(750);
/// How long a lapsed claim that nobody else took may be renewed. Longer: swept, and its broadcast is over.
pub const CLAIM_LAPSED_KEPT: Duration = Duration::from_secs(20);
/// How often the leader, or a node that is alone, looks for what is over.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(2);
/// How long after its last message a node counts as heard: it gives a sign of life every 2 s.
pub const NODE_HEARD_MAX: Duration = Duration::from_secs(5);
/// How long a node may be silent (AMS). Longer: it is dead, its claims and slots are void.
pub const NODE_SILENCE_MAX: Duration = Duration::from_secs(20);
/// How often a node renews its claims: often enough that one lost renewal costs nothing.
pub const CLAIM_RENEWED_EVERY: Duration = Duration::from_millis(1_500);
/// How long one renewal may take. Longer: the next one is tried.
pub const CLAIM_RENEWAL_MAX: Duration = Duration::from_secs(2);
/// Claims that one command renews. More: refused.
pub const CLAIMS_PER_RENEWAL_MAX: usize = 1_000;
/// Nodes known, dead ones included until they are forgotten. More: refused.
pub const NODES_MAX: usize = 1_024;
/// One node's stored card as JSON. Larger: refused.
pub const NODE_BYTES_MAX: usize = 4 * 1024;
/// How long an expired node is shown as dead. Longer: forgotten.
pub const NODE_DEAD_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Lives of nodes whose facts are still taken. More: no node may join until some were swept.
pub const INCARNATIONS_MAX: usize = 16_384;
/// How long a node may deliver facts of a life that is over. Later: not taken; its sessions are closed with what is known.
pub const INCARNATION_KEPT: Duration = Duration::from_secs(3_600);
/// Users of the management pages. More: refused.
pub const USERS_MAX: usize = 10_000;
/// One stored user as JSON. Larger: refused.
pub const USER_BYTES_MAX: usize = 16 * 1024;
/// One user's name (an e-mail address). Longer: refused.
pub const USER_NAME_BYTES_MAX: usize = 256;
/// VoD records per application. More: refused.
pub const VODS_PER_APPLICATION_MAX: usize = 100_000;
/// One stored VoD record as JSON. Larger: refused.
pub const VOD_BYTES_MAX: usize = 16 * 1024;
/// Facts in one batch. More: refused.
pub const FACTS_PER_BATCH_MAX: usize = 500;
/// One batch of facts as JSON. Larger: refused.
pub const FACT_BATCH_BYTES_MAX: usize = 256 * 1024;
/// Facts of sessions that wait on their node until the log takes them. More: lost, and counted.
pub const FACTS_WAITING_MAX: usize = 50_000;
/// How long facts are collected before they go out in one batch.
pub const FACTS_COLLECTED: Duration = Duration::from_secs(2);
/// How often a subscriber's session says what it came to so far.
pub const FACT_SUMMARY_EVERY: Duration = Duration::from_secs(30);
/// Newest connection events kept of one subscriber. Older ones are in the archive alone.
pub const EVENTS_PER_SUBSCRIBER_MAX: u64 = 100;
/// Connection events kept in one application. More: a new one takes the place of its subscriber's oldest, or is in the archive alone.
pub const EVENTS_PER_APPLICATION_MAX: usize = 1_000_000;
/// Subscribers of one application whose sums and newest events are kept. More: those are in the archive alone.
pub const HISTORIES_PER_APPLICATION_MAX: usize = 100_000;
/// Sessions of subscribers in one application whose figures are kept while they run. More: not counted, their facts go to the archive alone.
pub const SESSIONS_PER_APPLICATION_MAX: usize = 100_000;
/// How long the newest events of a subscriber are kept after the last one. Longer: swept.
pub const HISTORY_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Rows of tokens, subscribers, events or VoD in one list. More: cut off.
pub const META_ROWS_PER_LIST_MAX: usize = 250;
/// Time for one answer of the metadata plane, retries included. Longer: the outcome is unknown.
pub const META_ANSWER_MAX: Duration = Duration::from_secs(5);

// -- consensus of the metadata plane

/// What the consensus counts time in.
pub const RAFT_TICK: Duration = Duration::from_millis(100);
/// Ticks made up for after a standstill of the node. More: the time is let go, for the others were not heard in it.
pub const RAFT_TICKS_AT_ONCE_MAX: u32 = 2;
/// Ticks between two heartbeats of a leader.
pub const RAFT_HEARTBEAT_TICKS: usize = 3;
/// Ticks without a leader until a voter stands for election, at least; a leader not heard by a majority for as long
/// steps down.
pub const RAFT_ELECTION_TICKS_MIN: usize = 10;
/// The same at most, exclusively: a new leader is there within 2 s.
pub const RAFT_ELECTION_TICKS_MAX: usize = 15;
/// Ticks until a voter that stood for election in vain stands again, at least; the others one after the other. Votes that
/// split between those who are left are to cost less than another wait for a dead leader, and an answer takes less.
pub const RAFT_STAND_AGAIN_TICKS: usize = 2;
/// Bytes of entries in one message, and of one command. Larger commands: refused.
pub const RAFT_MESSAGE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Messages with entries on their way to one member. More wait in the log.
pub const RAFT_INFLIGHT_MESSAGES_MAX: usize = 64;
/// Bytes of entries that are not committed yet. More: proposals wait, and time out.
pub const RAFT_UNCOMMITTED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Bytes of entries that are applied in one turn. More: in the next one, so that heartbeats go out in between.
pub const RAFT_APPLY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Entries kept behind the applied one. Older ones go unless a live member needs them.
pub const RAFT_LOG_ENTRIES_KEPT: u64 = 10_000;
/// Entries kept at most, for a live member that lags. More: it gets a snapshot.
pub const RAFT_LOG_ENTRIES_MAX: u64 = 100_000;
/// Bytes of entries kept behind the applied one. Older ones go unless a live member needs them.
pub const RAFT_LOG_BYTES_KEPT: u64 = 32 * 1024 * 1024;
/// Bytes of entries kept at most, for a live member that lags. More: it gets a snapshot.
pub const RAFT_LOG_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How long what a member's wall clock showed counts for the cluster's time. Longer: it is not known.
pub const CLUSTER_CLOCK_KEPT: Duration = Duration::from_secs(6);
/// How far the cluster's time may be ahead of the median of the voters' clocks. More: it goes on at half speed.
pub const CLUSTER_CLOCK_SLACK: Duration = Duration::from_secs(1);
/// How far the cluster's time may lag behind that median for a new leader to catch up a tenth faster than time passes. More, while
/// leases may run that were given before: it takes no commands for [`CLAIM_LEASE`] and sets time right at once.
pub const CLUSTER_CLOCK_LAG_MAX: Duration = Duration::from_secs(10);
/// How long a new leader waits for the clocks of most voters before it takes commands. Longer: it goes on from the state's
/// time.
pub const CLUSTER_CLOCK_WAIT_MAX: Duration = Duration::from_secs(4);
/// Entries between two comparisons of the members' states.
pub const RAFT_CHECK_HASH_ENTRIES: u64 = 10_000;
/// One chunk of a snapshot.
pub const RAFT_SNAPSHOT_CHUNK_BYTES: usize = 1024 * 1024;
/// A snapshot as a whole. Larger: not fetched.
pub const RAFT_SNAPSHOT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// How long a leader waits for the next question for a chunk. Longer: it begins anew with that member.
pub const RAFT_SNAPSHOT_STALL_MAX: Duration = Duration::from_secs(5);
/// How long a snapshot is fetched. Longer: given up, a newer one will be announced.
pub const RAFT_SNAPSHOT_FETCH_MAX: Duration = Duration::from_secs(600);
/// How long a leader's write may take. Longer: it hands leadership to a member whose disk works.
pub const RAFT_PERSIST_STALL_MAX: Duration = Duration::from_secs(2);
/// Entries a learner may lag behind when it becomes a voter.
pub const RAFT_PROMOTION_LAG_MAX: u64 = 64;
/// Voters and learners. More: refused.
pub const RAFT_MEMBERS_MAX: usize = 15;
/// Time until a proposal, a chunk or a watch is asked for again.
pub const META_RETRY_AFTER: Duration = Duration::from_millis(500);
/// Time until a question for the newest commit is asked again.
pub const META_READ_RETRY_AFTER: Duration = Duration::from_millis(400);
/// Questions for the newest commit whose answers are waited for: an answer may take this many times
/// [`META_READ_RETRY_AFTER`]. One more: that to the oldest counts no more, and that to the next is for its reads as well.
pub const META_READ_ROUNDS_MAX: usize = 8;
/// Linearizable reads waiting on one node. More: not answered.
pub const META_READS_MAX: usize = 16_384;
/// How often a node makes sure that what it knows is fresh.
pub const META_FRESHEN_EVERY: Duration = Duration::from_secs(1);
/// Age up to which what a node knows counts as fresh.
pub const META_FRESH_AGE_MAX: Duration = Duration::from_secs(2);
/// How long a one-time token is tried to be spent while the plane is away. Longer: denied.
pub const SPEND_RETRY_MAX: Duration = Duration::from_secs(3);
/// Age up to which a node without the plane goes on with what it has, unless it is configured
/// (`cluster.authority_lease_s`). Longer: it refuses.
pub const AUTHORITY_LEASE: Duration = Duration::from_secs(300);
/// How often a node gives a sign of life.
pub const META_ALIVE_EVERY: Duration = Duration::from_secs(2);
/// Nodes that watch through one member, or give it signs of life. More are not noted.
pub const META_WATCHING_NODES_MAX: usize = 1_024;
/// Commands whose changes go to a watching node in one message. More: in the next one.
pub const META_WATCH_BATCH_MAX: usize = 256;
/// Bytes of changes in one such message. More: in the next one; a single command with more: the node copies anew.
pub const META_WATCH_BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a node that is no member copies the state. Longer: it begins anew, with another member.
pub const META_COPY_MAX: Duration = Duration::from_secs(600);
/// Bytes of rows such a copy may have. More: it begins anew.
pub const META_COPY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

// -- link between nodes

/// One secret of a cluster, in bytes. Longer: refused.
pub const CLUSTER_SECRET_BYTES_MAX: usize = 128;
/// Secrets that were replaced and still open what is stored. More: the node does not start.
pub const CLUSTER_SECRETS_REPLACED_MAX: usize = 8;
/// An address that a node is reached at (a host name of 253 characters, and a port). Longer: refused.
pub const CLUSTER_ADDRESS_BYTES_MAX: usize = 261;
/// Addresses of one name that are tried. More are not.
pub const CLUSTER_ADDRESSES_TRIED_MAX: usize = 8;
/// What a message is packed in on its way, at most.
pub const CLUSTER_FRAME_OVERHEAD_BYTES_MAX: usize = 64 * 1024;
/// One message of the consensus: entries and what is around each of them. Larger: not sent, and who sends one is hung up on.
pub const CLUSTER_RAFT_BYTES_MAX: usize = 2 * RAFT_MESSAGE_BYTES_MAX as usize;
/// One message with a chunk of a snapshot. Larger: as there.
pub const CLUSTER_SNAPSHOT_BYTES_MAX: usize = RAFT_SNAPSHOT_CHUNK_BYTES + CLUSTER_FRAME_OVERHEAD_BYTES_MAX;
/// One proposal, reading or run of changes: a list of 250 broadcasts of 64 KiB is 16 MiB. Larger: as there.
pub const CLUSTER_META_BYTES_MAX: usize = 32 * 1024 * 1024;
/// One introduction, order or report. Larger: refused.
pub const CLUSTER_CALL_BYTES_MAX: usize = 256 * 1024;
/// Characters of a refusal or a version that another node told. Longer: cut.
pub const CLUSTER_TEXT_CHARS_MAX: usize = 512;
/// Messages of one class that wait for one node. More: the oldest is lost, for what is newest is still true.
pub const CLUSTER_QUEUE_MESSAGES_MAX: usize = 4_096;
/// Bytes of one class that wait for one node (what the consensus may leave uncommitted, or one largest reading and
/// more). More: as there.
pub const CLUSTER_QUEUE_BYTES_MAX: usize = 40 * 1024 * 1024;
/// How long a message waits for a connection: two elections. Longer: lost, so that a link that comes back begins with what
/// is true.
pub const CLUSTER_MESSAGE_AGE_MAX: Duration = Duration::from_secs(4);
/// Nodes that are known to the link. More: the one that was out of reach the longest and is not configured is forgotten, or
/// else the new one is refused.
pub const CLUSTER_PEERS_MAX: usize = NODES_MAX + RAFT_MEMBERS_MAX;
/// Connections of other nodes. More: closed before TLS.
pub const CLUSTER_CONNECTIONS_MAX: usize = 4_096;
/// Connections from one address (or IPv6 /56). More: closed before TLS.
pub const CLUSTER_CONNECTIONS_PER_ADDRESS_MAX: usize = 256;
/// Connections that have not shown a certificate yet. More: closed before TLS.
pub const CLUSTER_STRANGERS_MAX: usize = 256;
/// The same from one address. More: closed before TLS.
pub const CLUSTER_STRANGERS_PER_ADDRESS_MAX: usize = 64;
/// Time for a TLS handshake. Longer: closed.
pub const CLUSTER_HANDSHAKE_MAX: Duration = Duration::from_secs(3);
/// Time a connection may be without a request, and a request without its first message. Longer: closed.
pub const CLUSTER_SILENCE_MAX: Duration = Duration::from_secs(3);
/// Requests at a time on one connection. More: refused by HTTP/2.
pub const CLUSTER_STREAMS_MAX: u32 = 8;
/// Introductions and orders that are worked on at a time. More: refused.
pub const CLUSTER_CALLS_MAX: usize = 64;
/// Time for the answer to an introduction or an order. Longer: refused.
pub const CLUSTER_CALL_MAX: Duration = Duration::from_secs(10);
/// HTTP/2 headers of one request. Larger: refused.
pub const CLUSTER_HEADERS_BYTES_MAX: u32 = 8 * 1024;
/// Bytes that may be on their way in one request, and on one connection: 400 Mbit/s over 20 ms. A probe waits behind them, so
/// that a way of less than 7 Mbit/s may pass for broken when it is full.
pub const CLUSTER_WINDOW_BYTES: u32 = 1024 * 1024;
/// Time for finding, reaching and recognising another node. Longer: tried again.
pub const CLUSTER_CONNECT_MAX: Duration = Duration::from_secs(2);
/// How often a connection is probed, and with [`CLUSTER_PROBE_ANSWER_MAX`] how soon a node that is silently gone is
/// noticed: within 2 s.
pub const CLUSTER_PROBE_EVERY: Duration = Duration::from_millis(500);
/// How long the answer to a probe may take. Longer: the connection is given up.
pub const CLUSTER_PROBE_ANSWER_MAX: Duration = Duration::from_millis(1_200);
/// Rest before the first try to reach a node again; twice as long after each further one.
pub const CLUSTER_RETRY_MIN: Duration = Duration::from_millis(50);
/// That rest at most.
pub const CLUSTER_RETRY_MAX: Duration = Duration::from_secs(1);
/// How long a connection to a node stays without a message when it was made for one. Longer: closed, until the next message.
pub const CLUSTER_IDLE_MAX: Duration = Duration::from_secs(30);
/// One line of the log per kind of refusal in this time. More are only counted.
pub const CLUSTER_REFUSAL_LOG_EVERY: Duration = Duration::from_secs(10);

// -- the database below the metadata plane

/// Changes that wait for the database, and rows made of them. More: all of them are forgotten, and everything is listed
/// anew once the database is back.
pub const OUTBOX_CHANGES_MAX: usize = 65_536;
/// Bytes of those rows. More: the same.
pub const OUTBOX_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Commands whose rows are written before the projector notes how far it has come. More: in the next batch.
pub const PROJECTION_BATCH_COMMANDS_MAX: usize = 256;
/// Bytes of one batch. More: in the next one; a single command may be larger.
pub const PROJECTION_BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rows on their way to the database at once. More: they wait.
pub const PROJECTION_WRITES_MAX: usize = 32;
/// Answers that blame neither the row nor the way to the database, before a row is given up as a dead letter.
pub const PROJECTION_DOUBTS_MAX: u32 = 5;
/// Rest before a row is tried again; doubled with each try up to the next limit.
pub const PROJECTION_REST_MIN: Duration = Duration::from_millis(100);
/// See [`PROJECTION_REST_MIN`].
pub const PROJECTION_REST_MAX: Duration = Duration::from_secs(5);
/// How often a projector asks whether the cluster was restored elsewhere. Its writes meanwhile are of the older generation.
pub const PROJECTION_GENERATION_CHECK: Duration = Duration::from_secs(5);
/// How long rows that the database refused are kept. Longer: gone.
pub const DEAD_LETTERS_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Bytes of a refused row that are kept. Larger: only its size is.
pub const DEAD_LETTER_BYTES_MAX: usize = 64 * 1024;
/// Characters of the database's words that are kept of a refusal. More: cut off.
pub const DEAD_LETTER_REASON_CHARS_MAX: usize = 500;
/// Shortest and longest time that history is kept in the database. Another setting: the nearest of them.
pub const HISTORY_DATABASE_KEPT_MIN: Duration = Duration::from_secs(3_600);
/// See [`HISTORY_DATABASE_KEPT_MIN`]. Readers walk over so many days, and deletions too.
pub const HISTORY_DATABASE_KEPT_MAX: Duration = Duration::from_secs(92 * 24 * 3_600);
/// Rows that one page of history may pass over and hold. More: the page ends there, and says that it is partial.
pub const HISTORY_ROWS_WALKED_MAX: usize = 20_000;
/// Rows of history that are fetched at once.
pub const HISTORY_FETCH_ROWS: i32 = 500;
/// Time for one page of history. Longer: it is answered from the state, as partial.
pub const HISTORY_ANSWER_MAX: Duration = Duration::from_secs(3);
/// One chunk of an archived snapshot, or one part of a segment.
pub const ARCHIVE_CHUNK_BYTES_MAX: usize = 512 * 1024;
/// Archived snapshots kept, with what stands behind them. More: the oldest goes.
pub const ARCHIVE_SNAPSHOTS_MAX: usize = 3;
/// Segments behind one snapshot. More: there is a new snapshot.
pub const ARCHIVE_SEGMENTS_MAX: u64 = 20_000;
/// Bytes of segments behind one snapshot. More: the same.
pub const ARCHIVE_SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Age of a snapshot with segments behind it. Older: the same.
pub const ARCHIVE_SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(3_600);
/// A snapshot that is restored. Larger: refused, no cluster made it.
pub const ARCHIVE_SNAPSHOT_BYTES_MAX: u64 = RAFT_SNAPSHOT_BYTES_MAX;

// -- the gate

/// A secret that JSON Web Tokens are signed by, at least (AMS; RFC 7518, 3.2). Shorter: refused.
pub const JWT_KEY_BYTES_MIN: usize = 32;
/// A JSON Web Token. Longer: refused unread.
pub const JWT_BYTES_MAX: usize = 8 * 1024;
/// Hashes and JWTs of an application that are revoked by themselves. More: refused, and their secret is to be replaced.
pub const REVOKED_TOKENS_MAX: usize = 1_000;
/// Wrong codes of one subscriber from one network (/24, /56) until that is locked for this subscriber.
pub const GUESSES_PER_NETWORK_MAX: u32 = 10;
/// Wrong codes of one subscriber from anywhere until every network that was wrong is locked for it.
pub const GUESSES_PER_SUBSCRIBER_MAX: u32 = 100;
/// Wrong codes of whichever subscribers of one stream from one network until that is locked for those that nobody registered.
pub const GUESSES_PER_STREAM_MAX: u32 = 100;
/// How long a wrong code counts, from the first of them on.
pub const GUESSES_COUNTED_FOR: Duration = Duration::from_secs(300);
/// How long a lock lasts the first time; each further one twice as long.
pub const GUESS_LOCK_MIN: Duration = Duration::from_secs(60);
/// How long a lock lasts at most.
pub const GUESS_LOCK_MAX: Duration = Duration::from_secs(3_600);
/// Subscribers whose wrong codes are counted, and networks for each stream. More: those of the one counted longest are
/// forgotten, of sixteen the first that is not locked.
pub const GUESSED_SUBSCRIBERS_MAX: usize = 10_000;
/// Networks whose wrong codes are counted for one subscriber. More: one that is not locked is forgotten.
pub const GUESSING_NETWORKS_MAX: usize = 256;
/// Between two times that a node tells the others what codes of subscribers it saw.
pub const CODES_TOLD_EVERY: Duration = Duration::from_millis(250);
/// Subscribers, each with a network, whose codes a node tells the others of at one time. More: only this node counts them.
pub const CODES_TOLD_MAX: usize = 64;
/// Between two looks at what live permits rest on: clocks and the plane. Settings are looked at when they change.
pub const PERMITS_REVIEWED_EVERY: Duration = Duration::from_millis(500);
/// Sessions that a rotated secret, a revoked hash or JWT, or a narrowed range ends, end one after the other over this time at
/// most: a revocation is to be felt within a second.
pub const ROTATION_SPREAD: Duration = Duration::from_millis(500);
/// The most between two of them.
pub const ROTATION_PAUSE_MAX: Duration = Duration::from_millis(1);
/// How long after the end of its session the one that spent a one-time token may come back by it. Longer: it is spent.
pub const TOKEN_COMES_BACK_WITHIN: Duration = Duration::from_secs(10);
/// Tokens whose sessions are over that a node knows of. More: the oldest are forgotten, and whoever spent them may show
/// them again.
pub const TOKENS_OVER_MAX: usize = 65_536;
/// Time for an authorisation webhook's server to be connected to (AMS). Longer: nobody is let in by it.
pub const WEBHOOK_CONNECT_MAX: Duration = Duration::from_secs(2);
/// Time for its answer, all in all (AMS). Longer: the same.
pub const WEBHOOK_ANSWER_MAX: Duration = Duration::from_secs(5);
/// Authorisation webhooks that are asked at a time. More wait as long as an answer may take; then the same.
pub const WEBHOOKS_AT_ONCE_MAX: usize = 64;
/// Of them to one URL: who does not answer keeps nobody else waiting. More wait as well.
pub const WEBHOOKS_TO_ONE_AT_ONCE_MAX: usize = 16;
/// How far the clocks of two nodes may be apart. Further: a session goes on whose token was revoked in the last seconds of its
/// time.
pub const CLOCKS_APART_MAX: Duration = Duration::from_secs(5);
/// Connection slots on their way back. More: they are free when the node's life is over.
pub const SLOTS_GIVEN_BACK_MAX: usize = 65_536;
/// Of them those that are being given back at a time. More: they wait. As many as share a commit without being in the way of
/// admissions, which wait for the same commits.
pub const SLOTS_GIVEN_BACK_AT_ONCE_MAX: usize = 64;
/// How long somebody who comes again waits until the connection it left has been given back. Longer: it is refused.
pub const SLOT_COMES_BACK_MAX: Duration = Duration::from_secs(1);
/// Sessions of one stream that one answer shows. More: cut off.
pub const SESSIONS_PER_LIST_MAX: usize = 250;

/// Time the gate takes to decide. Longer: refused, the data store is not available.
pub const GATE_DECISION_MAX: Duration = Duration::from_secs(3);

// -- the door

/// Hops that a trusted proxy's `X-Forwarded-For` names. More: who asks is unknown.
pub const FORWARDED_HOPS_MAX: usize = 32;
/// Bytes of all `X-Forwarded-For` of a request. More: who asks is unknown.
pub const FORWARDED_BYTES_MAX: usize = 4 * 1024;
/// Ranges of one list of addresses. More: those behind let nobody in.
pub const ADDRESS_RANGES_MAX: usize = 1_000;
/// Management sessions of a node. More: the one that was used longest ago ends.
pub const MANAGEMENT_SESSIONS_MAX: usize = 1_000;
/// Time a management session may ask for nothing (Tomcat's default, which AMS has). Longer: it is over.
pub const MANAGEMENT_SESSION_IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// Life of a management session. Longer: it is over, though it is used.
pub const MANAGEMENT_SESSION_AGE_MAX: Duration = Duration::from_secs(12 * 3_600);
/// Wrong passwords of one user in a row (AMS). From then on nobody gets in by that name for [`LOGIN_BLOCK`].
pub const LOGIN_ATTEMPTS_MAX: u32 = 3;
/// How long a user stays blocked (AMS), and how long wrong passwords are remembered.
pub const LOGIN_BLOCK: Duration = Duration::from_secs(300);
/// Names whose wrong passwords are remembered. More: the oldest is forgotten; to check that many passwords takes longer
/// than a block lasts.
pub const LOGIN_NAMES_MAX: usize = 20_000;
/// Passwords that are checked at a time: one takes 19 MiB and a core. More: they wait.
pub const PASSWORDS_AT_ONCE_MAX: usize = 2;
/// Requests that wait for a password to be checked. More: 503.
pub const PASSWORDS_WAITING_MAX: usize = 64;
/// A password. Longer: refused.
pub const PASSWORD_BYTES_MAX: usize = 1_024;
/// A set of keys from a JWKS address. Larger: not taken.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;
/// Keys of one set. More: those behind are left out.
pub const JWKS_KEYS_MAX: usize = 100;
/// Time for a set of keys to come. Longer: given up; tokens by it are refused meanwhile.
pub const JWKS_FETCH_MAX: Duration = Duration::from_secs(5);
/// Time between two looks at a JWKS address. A token whose key is unknown asks no sooner.
pub const JWKS_REFRESH_MIN: Duration = Duration::from_secs(30);
/// Age of a set of keys. Older: it is fetched again when it is needed.
pub const JWKS_AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// How long the last set is believed when its address does not answer. Longer: tokens by it are refused.
pub const JWKS_KEPT_MAX: Duration = Duration::from_secs(3_600);
/// JWKS addresses whose keys are kept. More: the one looked at longest ago is forgotten.
pub const JWKS_ADDRESSES_MAX: usize = 256;
/// Values of one list of a CORS filter. More: the file is not taken.
pub const CORS_VALUES_MAX: usize = 200;
/// Elements of a `web.xml`. More: the file is not taken.
pub const WEB_XML_ELEMENTS_MAX: usize = 10_000;
/// Elements inside each other in a `web.xml`. More: the file is not taken.
pub const WEB_XML_DEPTH_MAX: usize = 32;
/// Time between two looks at the `web.xml` files.
pub const WEB_XML_LOOK: Duration = Duration::from_secs(1);
/// The header of the PROXY protocol behind its 16 fixed bytes. Larger: the connection is closed.
pub const PROXY_HEADER_BYTES_MAX: usize = 4 * 1024;
/// Connections of one listener that have not said yet for whom they speak. More: closed unread.
pub const PROXY_HEADERS_WAITING_MAX: usize = 4_096;
/// Time for the header of the PROXY protocol. Longer: the connection is closed.
pub const PROXY_HEADER_WAIT_MAX: Duration = Duration::from_secs(3);

// -- configuration

/// One `penstock.toml`, properties file or file that holds a secret. Larger: refused, it is another file.
pub const SETTINGS_FILE_BYTES_MAX: usize = 1024 * 1024;

// -- http

/// A REST body. Larger: 413.
pub const REST_BODY_BYTES_MAX: usize = 1024 * 1024;
/// The query of a REST request, below what the HTTP library takes for a whole URI (65,534). Longer: 414.
pub const REST_QUERY_BYTES_MAX: usize = 32 * 1024;
/// A query, or an `Origin`, of which authorisation webhooks are told: a socket keeps it while it is open. Longer: they are not.
pub const WEBHOOK_TEXT_BYTES_MAX: usize = 4 * 1024;
/// For how long a change of settings waits for those before it on the same node. Longer: 503.
pub const SETTINGS_TURN_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often a change of settings that names no version is made anew because another node was first. More: 503.
pub const SETTINGS_RETRIES_MAX: usize = 32;
/// Files and folders of an application that are counted into its storage. More: not counted.
pub const STORAGE_FILES_MAX: usize = 100_000;
/// Time for the body of a request to be whole. Longer: 408.
pub const HTTP_BODY_WAIT_MAX: Duration = Duration::from_secs(10);
/// Broadcasts that one REST request deletes by name. More: 400.
pub const REST_IDS_MAX: usize = 1_000;
/// WebRTC players that one REST answer shows the statistics of (AMS). More: cut off.
pub const REST_CLIENTS_MAX: usize = 50;
/// Subtracks of a room that one REST request deletes, or stops. More: the rest stays, and the answer says to ask again.
pub const REST_SUBTRACKS_MAX: usize = 1_000;
/// Characters of a client's own words that an answer repeats. More: cut.
pub const REST_REPEATED_CHARS_MAX: usize = 100;
/// One file of the web pages, which is sent from memory. Larger: 500, and the log names the file.
pub const PAGE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Time from the first byte of a request to the first of its answer. Longer: the connection is closed.
pub const HTTP_REQUEST_MAX: Duration = Duration::from_secs(20);
/// Time a connection may ask for nothing. Longer: closed.
pub const HTTP_IDLE_MAX: Duration = Duration::from_secs(15);
/// Time a peer may take nothing of what it is sent. Longer: closed.
pub const HTTP_WRITE_STALL_MAX: Duration = Duration::from_secs(20);
/// Time for a TLS handshake. Longer: closed.
pub const HTTPS_HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Time a peer has to close after our last word. Longer: closed.
pub const HTTP_GOODBYE_MAX: Duration = Duration::from_secs(1);
/// Time a chunked body that nobody reads is held, which has the server close the connection with its answer; what came of it is at most one buffer.
pub const HTTP_BODY_HELD: Duration = Duration::from_secs(1);
/// What waits unsent in the kernel for a peer (`TCP_NOTSENT_LOWAT`), in bytes. More: it waits here, where it is seen that
/// the peer is slow.
pub const HTTP_NOTSENT_BYTES_MAX: u32 = 128 * 1024;
/// One sealed permit in a path. Longer: it is none.
pub const SEALED_PERMIT_CHARS_MAX: usize = 200;
/// How long a sealed permit lasts at most. Longer: it ends then, and is sealed anew before.
pub const SEALED_PERMIT_LIFE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// How long a signature of a segment's path lasts at most. Longer: it is not taken.
pub const SEGMENT_SIGNATURE_LIFE_MAX: Duration = Duration::from_secs(600);
/// One path of a file of a stream, as sent. Longer: it names no stream.
pub const MEDIA_PATH_BYTES_MAX: usize = 1_024;
/// One `hlsSegmentFileSuffixFormat`. Longer: no segment is named by it.
pub const MEDIA_SUFFIX_FORMAT_BYTES_MAX: usize = 64;
/// Players of the node that are sent media by HTTP. More: 503.
pub const HTTP_PLAYERS_MAX: usize = 16_384;
/// Time such a player may take nothing though there is something. Longer: it is ended as too slow.
pub const HTTP_PLAYER_STALL_MAX: Duration = Duration::from_secs(10);
/// HTTP and HTTPS connections of one address, signalling sockets not among them. More: closed unread.
pub const HTTP_CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024;
/// HTTP and HTTPS connections of the node, signalling sockets not among them. More: closed unread.
pub const HTTP_CONNECTIONS_MAX: usize = 32_768;
/// Connections per web worker. More: they wait in the kernel's backlog.
pub const HTTP_CONNECTIONS_PER_WORKER_MAX: usize = 16_384;
