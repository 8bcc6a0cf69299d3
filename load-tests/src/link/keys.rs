//! The keys of SRTP, which the handshake of DTLS leaves (RFC 5764).

use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use rtc_dtls::endpoint::Endpoint;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_rtcp::packet::Packet;
use rtc_srtp::config::{Config, LABEL_EXTRACTOR_DTLS_SRTP};
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::identity::{Identity, Profile, fingerprint};

/// Opens what the node sends, and seals what it is sent.
pub(crate) struct Keys {
    incoming: Context,
    outgoing: Context,
}

impl Keys {
    /// Those of the connection to `server`, whose certificate has to be the one of the offer, and whose profile the one
    /// that was asked for.
    pub(crate) fn take(
        endpoint: &Endpoint,
        server: SocketAddr,
        offered: &str,
        identity: &Identity,
        wanted: Profile,
    ) -> anyhow::Result<Self> {
        let state = endpoint.get_connection_state(server).context("no DTLS state")?;
        let certificate = state.peer_certificates.first().context("the node showed no certificate")?;
        let shown = fingerprint(&*identity.provider, certificate)?;
        ensure!(shown.eq_ignore_ascii_case(offered), "not the certificate of the offer");
        let profile = match (state.srtp_protection_profile(), wanted) {
            (SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm, Profile::Gcm) => ProtectionProfile::AeadAes128Gcm,
            (SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80, Profile::Cm) => {
                ProtectionProfile::Aes128CmHmacSha1_80
            }
            // What is measured must be what was asked for.
            (chosen, wanted) => bail!("the node chose {chosen:?}, not {wanted:?}"),
        };
        let mut config = Config { profile, ..Config::default() };
        let material = state
            .export_keying_material(LABEL_EXTRACTOR_DTLS_SRTP, &[], config.keying_material_len())
            .context("no keys")?;
        config.set_session_keys_from_keying_material(material.as_ref(), true).context("keys")?;
        let context = |key: &[u8], salt: &[u8]| {
            Context::new(key, salt, profile, None, None, identity.provider.crypto()).context("SRTP")
        };
        Ok(Self {
            incoming: context(&config.keys.remote_master_key, &config.keys.remote_master_salt)?,
            outgoing: context(&config.keys.local_master_key, &config.keys.local_master_salt)?,
        })
    }

    /// The packets of a datagram of RTCP.
    pub(crate) fn open_rtcp(&mut self, datagram: &[u8]) -> anyhow::Result<Vec<Box<dyn Packet>>> {
        let opened = self.incoming.decrypt_rtcp(datagram).context("RTCP of the node")?;
        rtc_rtcp::packet::unmarshal(&mut opened.freeze()).context("RTCP of the node")
    }

    /// A packet of RTP.
    pub(crate) fn open_rtp(&mut self, datagram: &[u8]) -> anyhow::Result<BytesMut> {
        self.incoming.decrypt_rtp(datagram).context("RTP of the node")
    }

    /// A datagram of RTCP.
    pub(crate) fn seal(&mut self, packet: Box<dyn Packet>) -> anyhow::Result<Vec<u8>> {
        let compound = rtc_rtcp::packet::marshal(&[packet]).context("feedback")?;
        Ok(self.outgoing.encrypt_rtcp(&compound).context("feedback")?.to_vec())
    }

    /// A packet of RTP, sealed.
    pub(crate) fn seal_rtp(&mut self, packet: &[u8]) -> anyhow::Result<BytesMut> {
        self.outgoing.encrypt_rtp(packet).context("RTP")
    }

    /// A packet of RTCP, whatever is in it.
    pub(crate) fn seal_rtcp(&mut self, plain: &[u8]) -> anyhow::Result<BytesMut> {
        self.outgoing.encrypt_rtcp(plain).context("RTCP")
    }
}
