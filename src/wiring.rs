//! From a configuration to a running node, and from a signal to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::{Arbiter, System};
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use anyhow::Context;
use api::{ApiState, CorsFilters, Doorkeeper, ManagementJwt};
use base::{AppNames, Clock, Randomness, SystemClock, SystemRandomness, limits};
use cluster_model::{
    Authority, Broadcasts, Facts, Meta, NodeCard, Nodes, Owner, Settings, Streams, Subscribers, Tokens,
    Upkeep, Vods,
};
use cluster_node::NodeId;
use config::{LogFormat, ManagementConfig, NodeConfig, ProxyProtocol};
use media::MediaBudget;
use observe::{Component, Metrics, Readiness, metric};
use security::door::Users;
use security::{AddressRanges, Gate, GateParts, KeySets, TrustedProxies};
use sessions::Connections;
use sessions::http::{CertificateFiles, HttpMediaContext, HttpOptions};
use sessions::rtc::{
    OfferedAddresses, Receptions, SIGNALLING_PATH, Shards, ShardsConfig, SignallingContext, WhepResources,
    WhipResources, signalling, whep, whip,
};
use sessions::rtmp::RtmpContext;
use streams::{Applications, Claims, FactLog, Life, LiveStatistics, PublishPolicy, ReaderFactory, Services};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use transcode::{AudioPool, AudioTranscoders, Making};

use crate::anteroom::{Anteroom, copies};
use crate::application_data::Data;
use crate::applications::{Keeper, Rooms};
use crate::cluster::{self, Plane};
use crate::control::Control;
use crate::listeners::{Listeners, Ports};
use crate::settings_files::SettingsFiles;
use crate::webhook::Webhooks;
use crate::{jwks, machine, set_up_code, upkeep};

/// Time for streams to end and be recorded at a drain.
const DRAIN_STREAMS_MAX: Duration = Duration::from_secs(5);
/// Time for what is known of sessions to be recorded at a drain.
const DRAIN_FACTS_MAX: Duration = Duration::from_secs(2);
/// Time for HTTP requests under way at a drain.
const DRAIN_HTTP_MAX_S: u64 = 2;

/// Runs a node until SIGINT or SIGTERM.
pub fn run(config: NodeConfig) -> anyhow::Result<()> {
    let format = match config.log.format {
        LogFormat::Text => observe::LogFormat::Text,
        LogFormat::Json => observe::LogFormat::Json,
    };
    observe::init_logs(format, &config.log.level).context("log.level in penstock.toml cannot be used")?;
    System::new().block_on(node(config))
}

async fn node(config: NodeConfig) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
    let metrics = Metrics::install()?;
    let readiness = Readiness::new();
    let ready = readiness.component("node");

    machine::open_files();
    let shards = machine::per_core(config.webrtc.shards);
    let listeners = Listeners::bind(&config, shards)?;
    machine::udp_buffers(&listeners.media);
    let ports = Ports::of(&listeners);

    let folder = &config.data.folder;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("data.folder {} cannot be made", folder.display()))?;
    let host = match &config.cluster.address {
        address if config.cluster.enabled && !address.is_empty() => address.clone(),
        _ => machine::host_name(),
    };
    // Before anything else is written: what a full disk or a lost file means, the store says best.
    let alone = if config.cluster.enabled {
        None
    } else {
        Some(Plane::alone(folder, Arc::clone(&clock), &*randomness)?)
    };
    let (tls, follow_certificate) = sessions::http::server_config(certificate(&config, &host)?)?;
    actix_rt::spawn(follow_certificate);
    let connections =
        Connections::new(config.limits.http_connections, config.limits.http_connections_per_address);
    let options = |http, https| HttpOptions {
        http,
        https,
        http_proxied: config.http.proxy_protocol == ProxyProtocol::Required,
        https_proxied: config.http.https_proxy_protocol == ProxyProtocol::Required,
        tls: tls.clone(),
        workers: if config.http.workers == 0 { machine::per_core(0).into() } else { config.http.workers },
        connections: connections.clone(),
        shutdown_max_s: DRAIN_HTTP_MAX_S,
        clock: Arc::clone(&clock),
    };
    let (plane, anteroom) = match alone {
        Some(plane) => (plane, None),
        None => {
            let options = options(copies(&listeners.http)?, copies(&listeners.https)?);
            let anteroom = Anteroom::open(options, &listeners.rtmp, readiness.clone())?;
            tracing::info!(
                http = ports.http,
                rtmp = ports.rtmp,
                "until the cluster has taken this node in: http://localhost:{}/livez and /readyz",
                ports.http
            );
            let (clock, randomness) = (Arc::clone(&clock), Arc::clone(&randomness));
            (Plane::join(&config, listeners.cluster, &host, clock, randomness).await?, Some(anteroom))
        }
    };
    let store = Arc::clone(&plane.node);
    actix_rt::spawn(watch_store(plane.clone(), Arc::clone(&clock), readiness.component("store")));
    let meta: Arc<dyn Meta> = Arc::clone(&store) as Arc<dyn Meta>;
    let seals = || Arc::clone(&plane.seals);
    let broadcasts =
        Broadcasts::new(Arc::clone(&meta), seals(), Arc::clone(&clock), Arc::clone(&randomness), &host);
    let settings = Settings::new(Arc::clone(&meta), seals(), Arc::clone(&clock), Arc::clone(&randomness));
    let subscribers =
        Subscribers::new(Arc::clone(&meta), seals(), Arc::clone(&clock), Arc::clone(&randomness));
    let nodes = Nodes::new(Arc::clone(&meta), Arc::clone(&clock), Arc::clone(&randomness));
    let life = begin_life(nodes.clone(), plane.id, card(&host)).await;
    actix_rt::spawn(life.clone().keep());
    if plane.is_alone() {
        broadcasts
            .reset_after_restart()
            .await
            .context("the broadcasts of the last run could not be tidied up")?;
    }
    let past = cluster::use_database(
        &config.scylla,
        &plane,
        subscribers.clone(),
        &meta,
        &clock,
        &randomness,
        &metrics,
    );
    plane.show_link(&metrics);
    let upkeep = Upkeep::new(Arc::clone(&meta), Arc::clone(&clock), Arc::clone(&randomness));
    actix_rt::spawn(upkeep::run(upkeep, nodes.clone(), plane.clone(), Arc::clone(&clock)));
    let streams = Streams::new(Arc::clone(&meta), Arc::clone(&clock), Arc::clone(&randomness));
    let claims = Claims::start(streams, broadcasts.clone(), life.clone(), Arc::clone(&clock));
    let tokens = Tokens::new(Arc::clone(&meta), Arc::clone(&clock), Arc::clone(&randomness));
    let stored_users =
        cluster_model::Users::new(Arc::clone(&meta), Arc::clone(&clock), Arc::clone(&randomness));
    let users = Arc::new(Users::new(stored_users, Arc::clone(&clock), Arc::clone(&randomness)));
    actix_rt::spawn(set_up_code::tell(Arc::clone(&users)));
    let vods = Vods::new(Arc::clone(&meta), Arc::clone(&clock), Arc::clone(&randomness));
    let facts = Facts::new(meta, Arc::clone(&clock), Arc::clone(&randomness));
    let facts = FactLog::start(facts, life.clone(), settings.clone());
    let files =
        SettingsFiles::new(&config.data, settings.clone(), plane.is_alone(), Arc::clone(&randomness))?;
    let names: AppNames = files.begin(&*clock).await?.into_iter().collect();
    actix_rt::spawn(files.clone().follow());
    actix_rt::spawn(settings.clone().follow());

    let keys = Arc::new(KeySets::new(Arc::new(jwks::Web::new()), Arc::clone(&clock)));
    let gate = Gate::new(GateParts {
        applications: names.clone(),
        settings: settings.clone(),
        broadcasts: broadcasts.clone(),
        tokens: tokens.clone(),
        subscribers: subscribers.clone(),
        plane: Arc::new(Place { plane: plane.clone(), life: life.clone() }),
        authorizer: Arc::new(Webhooks::new()),
        keys: Arc::clone(&keys),
        clock: Arc::clone(&clock),
    });
    let pool = AudioPool::start().context("the threads of the audio pool could not be started")?;
    let making = Making::new(
        config.transcode.ffmpeg.clone(),
        config.webrtc.b_frames,
        machine::per_core(config.limits.video_transcoders).into(),
        Arc::clone(&clock),
    );
    let mut readers: Vec<Arc<dyn ReaderFactory>> =
        vec![Arc::new(AudioTranscoders::new(pool, Arc::clone(&clock)))];
    readers.extend(making.factories());
    let media = MediaBudget::new(config.limits.media_memory_mb.saturating_mul(1024 * 1024));
    show_media_budget(&metrics, &media);
    let statistics = LiveStatistics::default();
    let publish = PublishPolicy {
        grace: Duration::from_secs(config.publish.grace_s.into()),
        duplicate: config.publish.duplicate,
    };
    let services = Services {
        claims,
        facts: facts.clone(),
        readers,
        media,
        clock: Arc::clone(&clock),
        statistics: statistics.clone(),
        publish,
    };
    let applications = Applications::start(services, &Vec::from_iter(names.all().iter().cloned()));

    let addresses = OfferedAddresses::new(&config.webrtc.public_addresses);
    let shards = Shards::start(
        ShardsConfig {
            ports: listeners.media,
            addresses: addresses.everybody().to_vec(),
            players_per_shard_max: config.limits.players_per_shard,
            busy_percent_max: config.limits.shard_busy_percent,
            late: Duration::from_millis(config.limits.shard_late_ms.into()),
        },
        &clock,
        &randomness,
    )?;
    // Publishers are read on Arbiters of their own: neither pages nor players wait for them.
    let (publishers, webrtc_publishers, http_players) = (Arbiter::new(), Arbiter::new(), Arbiter::new());
    let (stop, draining) = watch::channel(false);
    for listener in listeners.media_tcp {
        let connections = Connections::new(
            limits::MEDIA_TCP_CONNECTIONS_MAX,
            limits::MEDIA_TCP_CONNECTIONS_PER_ADDRESS_MAX,
        );
        let listening = sessions::rtc::listen_tcp(listener, shards.clone(), connections);
        webrtc_publishers.spawn(async move {
            if let Err(error) = listening.await {
                tracing::error!(%error, "the port of media over TCP failed");
            }
        });
    }
    let receptions = Receptions::default();
    let http_media_context = Arc::new(HttpMediaContext {
        gate: Arc::clone(&gate),
        settings: settings.clone(),
        applications: applications.clone(),
        draining: draining.clone(),
        players: Connections::new(limits::HTTP_PLAYERS_MAX, config.limits.players_per_address),
        arbiter: http_players.handle(),
        clock: Arc::clone(&clock),
        randomness: Arc::clone(&randomness),
    });
    let signalling_context = Arc::new(SignallingContext {
        draining,
        gate: Arc::clone(&gate),
        applications: applications.clone(),
        shards: shards.clone(),
        addresses,
        tcp_port: ports.media_tcp,
        broadcasts: broadcasts.clone(),
        settings: settings.clone(),
        sockets: Connections::new(
            config.limits.signalling_sockets,
            config.limits.signalling_sockets_per_address,
        ),
        plays: Connections::new(usize::MAX, config.limits.players_per_address),
        joins: Connections::new(usize::MAX, config.limits.joins_per_address),
        publishing: Connections::new(
            config.limits.webrtc_publishers,
            config.limits.webrtc_publishers_per_address,
        ),
        publishers: webrtc_publishers.handle(),
        receptions: receptions.clone(),
        whep: Arc::new(WhepResources::default()),
        whip: Arc::new(WhipResources::default()),
        clock: Arc::clone(&clock),
        randomness: Arc::clone(&randomness),
    });
    let rtmp_context = Arc::new(RtmpContext {
        gate: Arc::clone(&gate),
        applications: applications.clone(),
        connections: Connections::new(
            config.limits.rtmp_connections,
            config.limits.rtmp_connections_per_address,
        ),
        silence_max: Duration::from_secs(config.limits.rtmp_silence_s.into()),
        is_proxied: config.rtmp.proxy_protocol == ProxyProtocol::Required,
        clock: Arc::clone(&clock),
        randomness: Arc::clone(&randomness),
    });
    let mut rtmp = Vec::new();
    for listener in listeners.rtmp {
        let context = Arc::clone(&rtmp_context);
        rtmp.push(actix_rt::spawn(sessions::rtmp::listen(listener, context, vec![publishers.handle()])));
    }

    let cors = web::Data::new(CorsFilters::load(config.data.webapps.clone(), names.clone()));
    actix_rt::spawn(Arc::clone(&cors).follow());
    let keeper = Keeper::start(
        Rooms {
            webapps: config.data.webapps.clone(),
            is_alone: plane.is_alone(),
            names: names.clone(),
            settings: settings.clone(),
            files: files.clone(),
            gate: Arc::clone(&gate),
            actors: applications.clone(),
            cors: Arc::clone(&cors),
            clock: Arc::clone(&clock),
            randomness,
        },
        Data {
            settings: settings.clone(),
            broadcasts: broadcasts.clone(),
            tokens: tokens.clone(),
            subscribers: subscribers.clone(),
        },
    );
    let trusted = AddressRanges::of(&config.http.trusted_proxies).map_err(anyhow::Error::msg)?;
    let trusted = web::Data::new(TrustedProxies::new(trusted));
    let api_state = web::Data::new(ApiState {
        door: doorkeeper(&config.management, users, keys)?,
        broadcasts,
        vods,
        settings,
        settings_turn: tokio::sync::Mutex::default(),
        settings_files: Arc::new(files),
        tokens,
        subscribers,
        nodes,
        cluster: Arc::new(plane.clone()),
        history: Arc::new(past),
        gate: Arc::clone(&gate),
        streams: Arc::new(Control {
            applications: applications.clone(),
            statistics,
            shards,
            receptions,
            clock: Arc::clone(&clock),
        }),
        applications: names.clone(),
        keeper: Arc::new(keeper),
        webapps: config.data.webapps.clone(),
        readiness,
        metrics,
        metrics_token: config.metrics.required_token().cloned(),
        server_name: String::new(),
        host: host.clone(),
        rtmp_port: ports.rtmp,
        https_port: ports.https,
        self_made_certificate: config.tls.files().is_none(),
        clock: Arc::clone(&clock),
    });
    let (signalling_data, http_media_data) =
        (web::Data::from(signalling_context), web::Data::from(http_media_context));
    let served = names;
    let app = move || {
        let app = App::new()
            .wrap(from_fn(api::cors))
            .wrap(from_fn(api::said_along))
            .app_data(api_state.clone())
            .app_data(signalling_data.clone())
            .app_data(http_media_data.clone())
            .app_data(cors.clone())
            .app_data(trusted.clone())
            .configure(|server| api::configure_rest(server, &served));
        #[cfg(feature = "faults")]
        let app = app.configure(crate::faults::configure);
        app.route(SIGNALLING_PATH, web::get().to(signalling))
            .configure(whep)
            .configure(whip)
            .configure(sessions::http::flv)
            .configure(sessions::http::files)
            .configure(api::configure)
    };
    if let Some(anteroom) = anteroom {
        anteroom.close().await;
    }
    let server = sessions::http::serve(options(listeners.http, listeners.https), app)?;
    let web = server.handle();
    let serving = actix_rt::spawn(server);

    ports.write(folder)?;
    ready.ready();
    tracing::info!(
        http = ports.http,
        https = ports.https,
        rtmp = ports.rtmp,
        media = ?ports.media,
        "ready: open http://localhost:{}/", ports.http
    );

    stopped().await?;
    let began = clock.now();
    ready.not_ready("draining");
    tracing::info!("draining");
    for listener in rtmp {
        listener.abort();
    }
    stop.send_replace(true);
    if actix_rt::time::timeout(DRAIN_STREAMS_MAX, applications.drain()).await.is_err() {
        tracing::warn!("some streams did not end in time");
    }
    web.stop(true).await;
    serving.await.context("the web server's task died")?.context("the web server failed")?;
    facts.flush(DRAIN_FACTS_MAX).await;
    if let Err(error) = life.end().await {
        tracing::warn!(%error, "the end of this node was not recorded: it is taken for dead later");
    }
    plane.close().await;
    tracing::info!(took_ms = millis(clock.now(), began), "stopped");
    Ok(())
}

/// This node as its gate sees it.
struct Place {
    plane: Plane,
    life: Life,
}

impl security::Plane for Place {
    fn owner(&self) -> Owner {
        self.life.owner()
    }

    fn authority(&self) -> Authority {
        self.plane.node.authority()
    }
}

/// Who may ask the node's own REST.
fn doorkeeper(
    management: &ManagementConfig,
    users: Arc<Users>,
    keys: Arc<KeySets>,
) -> anyhow::Result<Doorkeeper> {
    let jwt = management.jwt_control_enabled.then(|| ManagementJwt {
        secret: management.jwt_secret_key.clone(),
        jwks_url: management.jwks_url.clone(),
    });
    Ok(Doorkeeper {
        users,
        keys,
        management_allowed: AddressRanges::of(&management.allowed_addresses).map_err(anyhow::Error::msg)?,
        management_jwt: jwt,
    })
}

/// What this node says of itself when it joins.
fn card(host: &str) -> NodeCard {
    NodeCard { address: host.to_owned(), relay: String::new(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// Joins, however long that takes: without a majority of its members a cluster takes nobody in.
async fn begin_life(nodes: Nodes, id: NodeId, card: NodeCard) -> Life {
    let mut said = None;
    loop {
        match Life::begin(nodes.clone(), id, card.clone()).await {
            Ok(life) => return life,
            // Once for each reason.
            Err(error) if said.as_ref() != Some(&error) => {
                tracing::warn!(
                    %error,
                    "the node waits until the metadata store takes it in: in a cluster a majority of the members must run"
                );
                said = Some(error);
            }
            Err(_) => {}
        }
        // Who refuses at once must not be asked at once again.
        actix_rt::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Shows on `/metrics` what live media takes.
fn show_media_budget(metrics: &Metrics, media: &Arc<MediaBudget>) {
    metric::media_budget().set(media.bytes_max() as f64);
    let media = Arc::clone(media);
    metrics.follow(move || {
        metric::media_held().set(media.held() as f64);
        metric::media_shed().absolute(media.shed());
    });
}

/// A node that has no whole copy yet takes no work, and neither does one whose store has failed.
async fn watch_store(plane: Plane, clock: Arc<dyn Clock>, component: Component) {
    plane.can_be_read(&*clock).await;
    component.ready();
    plane.node.failure().await;
    component.not_ready("the metadata store takes no further part: the log says why, and what is to be done");
    // Dropped it would say less.
    std::future::pending().await
}

fn millis(now: Instant, then: Instant) -> u128 {
    now.duration_since(then).as_millis()
}

async fn stopped() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn certificate(config: &NodeConfig, host: &str) -> anyhow::Result<CertificateFiles> {
    if let Some((certificate, key)) = config.tls.files() {
        return Ok(CertificateFiles { certificate: certificate.to_owned(), key: key.to_owned() });
    }
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(host.to_owned());
    names.extend(config.webrtc.public_addresses.iter().map(ToString::to_string));
    Ok(CertificateFiles::self_made(&config.data.folder.join("tls"), names)?)
}
