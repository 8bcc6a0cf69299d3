//! What signalling does with a player: offers and answers, whoever offers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{StreamId, limits};
use media::{Catalogue, Codec, Kind, StreamMedia};

use super::channels::{Channels, Distribution, Opener};
use super::play_track::PlayTrack;
use super::player::{Player, peer_key, ssrc};
use super::{PlayerId, Shard, TrackRef};
use crate::dtls::{DtlsPeer, PeerKey};
use crate::ice::IceCredentials;
use crate::sdp::{
    Agreement, AnswerError, Candidate, Description, OfferedCodec, OfferedData, OfferedMedia,
    PLAYOUT_DELAY_ID, RemoteOffer, policy, read_answer, track_label,
};
use crate::srtp::PlayoutDelay;

/// What our m-line of data channels is called; those of tracks are numbered.
const DATA_MID: &str = "data";
/// Pictures are shown no sooner than sound can be. Chromium (156) starts with 80 ms of audio buffer
/// and 30 ms of loudspeaker, ends near 95 ms in all, and moves pictures by 16 ms steps until both
/// are in step; without a start near the end, lips are off by up to 130 ms for the first 8 s. It
/// has to be this near: Chromium leaves a difference below about 30 ms on average as it is; with
/// 80 ms sound was measured 40 to 50 ms late for 24 s, and with 100 ms up to 52 ms late for viewers
/// who join in the middle of a group of pictures.
const PLAYOUT_DELAY: PlayoutDelay = PlayoutDelay { id: PLAYOUT_DELAY_ID, least: 12, most: 1_000 };

/// The same for pictures of a stream whose sound comes later than they do, because a program makes it.
fn playout_delay(media: &StreamMedia) -> PlayoutDelay {
    let behind = media.lag(Kind::Audio).saturating_sub(media.lag(Kind::Video));
    let more = u16::try_from(behind.as_millis() / 10).unwrap_or(u16::MAX);
    let least = PLAYOUT_DELAY.least.saturating_add(more).min(PLAYOUT_DELAY.most);
    PlayoutDelay { least, ..PLAYOUT_DELAY }
}

/// The kinds of media of a stream that a player is sent, if the stream has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// Pictures.
    pub video: bool,
    /// Sound. Its Opus track may come later than the offer.
    pub audio: bool,
}

/// What a player wants to play.
#[derive(Clone, Debug)]
pub struct PlayerSpec {
    /// The stream. Whoever adds a player also has made what the source does not send, while it lives.
    pub stream: Arc<StreamMedia>,
    /// The stream's name: the first part of msids, and the id of its single track.
    pub stream_name: StreamId,
    /// What of it.
    pub kinds: Kinds,
    /// Whom its messages go to; `None`: it gets no data channels.
    pub data: Option<Distribution>,
    /// Addresses this player is offered beside the shard's own.
    pub extra_addresses: Vec<SocketAddr>,
    /// Addresses at which it is taken by TCP, for networks that let no UDP through.
    pub tcp_addresses: Vec<SocketAddr>,
    /// Time from the offer to connected; longer: ended as timed out.
    pub connect_max: Duration,
}

/// Why a player was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// [`limits::PLAYERS_PER_SHARD_MAX`] players are there.
    #[error("the shard has {} players", limits::PLAYERS_PER_SHARD_MAX)]
    TooManyPlayers,
    /// [`limits::HANDSHAKES_PER_SHARD_MAX`] players are not connected yet.
    #[error("{} players of the shard are connecting", limits::HANDSHAKES_PER_SHARD_MAX)]
    TooManyHandshakes,
    /// The stream has nothing of what is wanted, or has ended.
    #[error("the stream has nothing to play")]
    NothingToPlay,
    /// The stream's video is of a codec that browsers take in no form.
    #[error("browsers do not take the stream's video codec")]
    Codec,
    /// The player's offer takes nothing of the stream in a form it could be sent in.
    #[error("the offer takes none of the codecs the stream can be sent as")]
    NothingInCommon,
}

/// Why a player was not made a further offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferAgainError {
    /// There is no such player.
    #[error("there is no such player")]
    NoSuchPlayer,
    /// The offer before has not been answered: one at a time (RFC 8829 4.1.8.1).
    #[error("the offer before has not been answered")]
    Unanswered,
    /// The stream has nothing it could be offered.
    #[error(transparent)]
    Nothing(#[from] AddError),
}

/// What an offer can say of a stream: what is sent, and how that is offered. Each kind once.
type Wanted = Vec<(Codec, Vec<OfferedCodec>)>;

impl Shard {
    /// Adds a player and makes its offer. It ends by itself when it is not connected within
    /// [`PlayerSpec::connect_max`].
    pub fn add_player(
        &mut self,
        spec: PlayerSpec,
        now: Instant,
    ) -> Result<(PlayerId, Description), AddError> {
        let (seen, wanted) = self.look_before(&spec)?;
        let id = self.insert_player(spec, Opener::Node, seen, now)?;
        let offer = self.offer(id, wanted).ok_or(AddError::NothingToPlay)?;
        self.attach_tracks(id, now);
        Ok((id, offer))
    }

    /// The same for a player that brings an offer of its own; makes the answer. Such a player cannot be offered
    /// anything later: it has no way to be told.
    pub fn add_offering_player(
        &mut self,
        spec: PlayerSpec,
        offer: &RemoteOffer,
        now: Instant,
    ) -> Result<(PlayerId, Description), AddError> {
        let (seen, wanted) = self.look_before(&spec)?;
        let kinds = wanted.iter().map(|(codec, codecs)| (codec.kind(), codecs.as_slice()));
        let agreement = offer.agree(kinds, spec.data.is_some()).ok_or(AddError::NothingInCommon)?;
        let id = self.insert_player(spec, Opener::Player, seen, now)?;
        let answer = self.agree(id, offer, &wanted, agreement).ok_or(AddError::NothingToPlay)?;
        self.attach_tracks(id, now);
        Ok((id, answer))
    }

    fn credentials(&self) -> IceCredentials {
        IceCredentials::random(&self.config.ufrag_prefix, &*self.randomness)
    }

    /// Whether there is room, and for what; and how many changes of the stream that is true after.
    fn look_before(&self, spec: &PlayerSpec) -> Result<(u64, Wanted), AddError> {
        if self.players.len() >= limits::PLAYERS_PER_SHARD_MAX {
            return Err(AddError::TooManyPlayers);
        }
        if self.counters.handshakes >= limits::HANDSHAKES_PER_SHARD_MAX as u64 {
            return Err(AddError::TooManyHandshakes);
        }
        // Before anything is read of it: what changes from here on is followed.
        let seen = spec.stream.changes();
        Ok((seen, wanted(&spec.stream, spec.kinds)?))
    }

    /// A player without tracks.
    fn insert_player(
        &mut self,
        spec: PlayerSpec,
        opener: Opener,
        seen: u64,
        now: Instant,
    ) -> Result<PlayerId, AddError> {
        let stream = self.stream_of(&spec.stream, seen);
        // The key is not known before the player is there.
        let id = PlayerId(self.players.insert(Player::new(
            stream,
            spec.stream_name,
            self.credentials(),
            &self.randomness,
            DtlsPeer::new(PeerKey(0)),
            now + spec.connect_max,
            now,
        )));
        let Some(player) = self.players.get_mut(id.0) else { return Err(AddError::TooManyPlayers) };
        player.dtls = DtlsPeer::new(peer_key(id));
        player.channels = spec.data.map(|distribution| {
            let (ring, account) = (spec.stream.messages(), spec.stream.unfinished());
            Box::new(Channels::new(distribution, opener, ring, account))
        });
        while self.by_ufrag.contains_key(&player.credentials.ufrag) {
            player.credentials = IceCredentials::random(&self.config.ufrag_prefix, &*self.randomness);
        }
        self.by_ufrag.insert(player.credentials.ufrag.clone(), id);
        let extra = spec.extra_addresses.iter().filter(|extra| !self.config.addresses.contains(extra));
        let udp = self.config.addresses.iter().chain(extra).copied().map(Candidate::Udp);
        player.candidates = udp.chain(spec.tcp_addresses.iter().copied().map(Candidate::Tcp)).collect();
        let deadline = player.deadline();
        self.timers.wake(id, &mut player.wake, deadline);
        self.counters.players += 1;
        self.counters.handshakes += 1;
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.players.push(id);
        }
        Ok(id)
    }

    /// Offers a player what its stream has now, over the connection it has: tracks that came get m-lines,
    /// m-lines of tracks that are gone become inactive and wait to be used again. What stays as it was is
    /// sent on meanwhile; what is new waits for the answer.
    pub fn offer_again(
        &mut self,
        id: PlayerId,
        kinds: Kinds,
        now: Instant,
    ) -> Result<Description, OfferAgainError> {
        let player = self.players.get(id.0).ok_or(OfferAgainError::NoSuchPlayer)?;
        if !player.answered {
            return Err(OfferAgainError::Unanswered);
        }
        let stream = self.streams.get(player.stream).ok_or(OfferAgainError::NoSuchPlayer)?;
        let wanted = wanted(&stream.media, kinds)?;
        let offer = self.offer(id, wanted).ok_or(OfferAgainError::NoSuchPlayer)?;
        self.sort_tracks(id, now);
        self.attach_tracks(id, now);
        Ok(offer)
    }

    /// Brings a player's m-lines to what is wanted, and writes the offer.
    fn offer(&mut self, id: PlayerId, wanted: Wanted) -> Option<Description> {
        let player = self.players.get_mut(id.0)?;
        for media in &mut player.offered {
            media.active = wanted.iter().any(|(codec, _)| codec.kind() == media.kind);
        }
        // Sound takes longer through a browser than pictures do; without sound none need wait.
        let waits_for_sound = wanted.iter().any(|(codec, _)| codec.kind() == Kind::Audio);
        for (codec, codecs) in wanted {
            let kind = codec.kind();
            let playout_delay = (kind == Kind::Video && waits_for_sound).then_some(PLAYOUT_DELAY_ID);
            let held =
                player.offered.iter_mut().zip(&mut player.tracks).find(|(media, _)| media.kind == kind);
            if let Some((media, track)) = held {
                media.playout_delay = playout_delay;
                // Another profile of the same codec needs no new agreement.
                if track.codec != codec {
                    track.codec = codec;
                    media.codecs = codecs;
                    track.payload_type = None;
                }
                continue;
            }
            let ssrc = ssrc(&player.tracks, &*self.randomness);
            player.tracks.push(PlayTrack::new(codec, ssrc, &*self.randomness));
            player.offered.push(OfferedMedia {
                mid: player.offered.len().to_string(),
                kind,
                label: track_label(kind, player.stream_name.as_str()),
                ssrc,
                codecs,
                playout_delay,
                reduced_size: true,
                active: true,
            });
        }
        if player.channels.is_some() && player.offered_data.is_none() {
            let line = player.offered.len();
            player.offered_data = Some(OfferedData { mid: DATA_MID.to_owned(), line, active: true });
        }
        player.offers += 1;
        player.answered = false;
        Some(player.session(self.dtls.fingerprint()).offer())
    }

    /// Takes the player's answer to its newest offer. On an error the player stays, and may answer again.
    pub fn set_answer(&mut self, id: PlayerId, sdp: &str, now: Instant) -> Result<(), AnswerError> {
        let player = self.players.get_mut(id.0).ok_or(AnswerError::NoSuchPlayer)?;
        if player.answered {
            return Err(AnswerError::AlreadyAnswered);
        }
        let answer = read_answer(sdp, &player.offered, player.offered_data.as_ref())?;
        let delay =
            self.streams.get(player.stream).map_or(PLAYOUT_DELAY, |stream| playout_delay(&stream.media));
        player.answered = true;
        for (track, answered) in player.tracks.iter_mut().zip(&answer.media) {
            track.agree(answered.payload_type, answered.playout_delay.then_some(delay));
        }
        if let Some(data) = &mut player.offered_data {
            data.active = answer.data.is_some();
        }
        if let (Some(channels), Some(bytes_max)) = (&mut player.channels, answer.data) {
            channels.agree(bytes_max);
        }
        // The connection is what was agreed on first; only its tracks change.
        player.peer.get_or_insert(answer.transport);
        self.sort_tracks(id, now);
        self.advance(id, now);
        Ok(())
    }

    /// Gives a player the tracks that its offer takes, and writes the answer.
    fn agree(
        &mut self,
        id: PlayerId,
        offer: &RemoteOffer,
        wanted: &Wanted,
        agreement: Agreement,
    ) -> Option<Description> {
        let player = self.players.get_mut(id.0)?;
        let delay = playout_delay(&self.streams.get(player.stream)?.media);
        let waits_for_sound = agreement.media.iter().any(|agreed| agreed.kind == Kind::Audio);
        let mut lines = Vec::new();
        for agreed in agreement.media {
            let (codec, _) = wanted.iter().find(|(codec, _)| codec.kind() == agreed.kind)?;
            let extension = agreed.playout_delay.filter(|_| agreed.kind == Kind::Video && waits_for_sound);
            let ssrc = ssrc(&player.tracks, &*self.randomness);
            let mut track = PlayTrack::new(*codec, ssrc, &*self.randomness);
            let id = extension.map(|id| PlayoutDelay { id, ..delay });
            track.agree(Some(agreed.codec.payload_type), id);
            player.tracks.push(track);
            let label = track_label(agreed.kind, player.stream_name.as_str());
            lines.push(agreed.line);
            player.offered.push(agreed.offered(label, ssrc, extension));
        }
        if let (Some(channels), Some(data)) = (&mut player.channels, agreement.data) {
            channels.agree(data.bytes_max);
            player.offered_data = Some(OfferedData { mid: data.mid, line: data.line, active: true });
        }
        player.offers += 1;
        player.answered = true;
        player.peer = Some(agreement.transport);
        Some(player.session(self.dtls.fingerprint()).answer(offer, &lines))
    }

    /// Begins the tracks that were agreed on, and stops the others.
    fn sort_tracks(&mut self, id: PlayerId, now: Instant) {
        let Some(player) = self.players.get(id.0) else { return };
        let agreed: Vec<bool> = player.tracks.iter().map(|track| track.payload_type.is_some()).collect();
        for (track, agreed) in agreed.into_iter().enumerate() {
            let viewer = TrackRef { player: id, track };
            if agreed {
                self.begin_track(viewer, now);
            } else {
                self.stop_track(viewer);
            }
        }
    }
}

/// What of the stream is offered; an error when that is nothing.
fn wanted(stream: &StreamMedia, Kinds { video, audio }: Kinds) -> Result<Wanted, AddError> {
    let catalogue = stream.catalogue();
    let mut wanted = Wanted::new();
    if video {
        wanted.extend(video_codecs(&catalogue)?);
    }
    if audio {
        wanted.extend(audio_codecs(&catalogue));
    }
    if wanted.is_empty() || stream.is_closed() {
        return Err(AddError::NothingToPlay);
    }
    Ok(wanted)
}

/// What a stream's video is sent and offered as; `None` without video. What is made of it may be gone for a moment
/// when its source changes: it is offered all the same.
fn video_codecs(catalogue: &Catalogue) -> Result<Option<(Codec, Vec<OfferedCodec>)>, AddError> {
    let made = catalogue.for_webrtc(Kind::Video);
    let Some(info) = made.or_else(|| catalogue.source(Kind::Video)) else { return Ok(None) };
    let codecs = policy::offered(&info.config).ok_or(AddError::Codec)?;
    Ok(Some((info.config.codec(), codecs)))
}

/// What a stream's audio is offered as: Opus, which is made on demand. `None` without audio.
fn audio_codecs(catalogue: &Catalogue) -> Option<(Codec, Vec<OfferedCodec>)> {
    let made = catalogue.for_webrtc(Kind::Audio).or_else(|| catalogue.opus_source());
    let info = made.or_else(|| catalogue.source(Kind::Audio))?;
    Some((Codec::Opus, policy::offered(&info.config)?))
}
