//! `Dockerfile` and `docker-compose.yml`, read as far as that goes without an engine: that they parse, that what they name
//! is there, and that the nodes they describe have configurations that a node takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use config::{ClusterRole, NodeConfig};
use yaml_rust2::{Yaml, YamlLoader};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect(name)
}

/// A mapping with what `<<` takes from others.
fn merged(map: &Yaml) -> BTreeMap<String, Yaml> {
    let mut all = BTreeMap::new();
    for (key, value) in map.as_hash().expect("a mapping") {
        match key.as_str().expect("a text as key") {
            "<<" => all.extend(merged(value)),
            key => drop(all.insert(key.to_owned(), value.clone())),
        }
    }
    let own = map.as_hash().expect("a mapping");
    for (key, value) in own.iter().filter(|(key, _)| key.as_str() != Some("<<")) {
        all.insert(key.as_str().expect("a text as key").to_owned(), value.clone());
    }
    all
}

#[test]
fn the_nodes_of_docker_compose_are_one_cluster() {
    let documents = YamlLoader::load_from_str(&read("docker-compose.yml")).expect("YAML");
    let services = merged(&documents[0]["services"]);
    let volumes = merged(&documents[0]["volumes"]);
    let mut numbers = BTreeSet::new();
    let mut published = BTreeSet::new();
    for (name, service) in services.iter().filter(|(name, _)| name.starts_with("node")) {
        let service = merged(service);
        let mut environment: BTreeMap<String, String> = merged(&service["environment"])
            .into_iter()
            .map(|(key, value)| {
                (key, value.as_str().expect("a text: YAML's numbers lose their form").to_owned())
            })
            .collect();
        // The file is in the container.
        assert_eq!(
            environment.remove("PENSTOCK_CLUSTER_SECRET_FILE").as_deref(),
            Some("/run/secrets/cluster.secret")
        );
        environment.insert("PENSTOCK_CLUSTER_SECRET".to_owned(), "a secret".to_owned());
        let config =
            NodeConfig::load(None, environment.into_iter()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((config.cluster.role, config.cluster.enabled), (ClusterRole::Member, true));
        let members = config.cluster.members_by_number().expect("members");
        assert_eq!(members.len(), 3);
        assert_eq!(members[&config.cluster.node], format!("{name}:{}", config.cluster.port));
        assert!(numbers.insert(config.cluster.node), "two nodes have one number");
        assert!(services.contains_key(config.scylla.contact_points[0].split(':').next().unwrap()));

        let ports: Vec<_> =
            service["ports"].as_vec().unwrap().iter().map(|port| port.as_str().unwrap()).collect();
        for port in &ports {
            assert!(
                published.insert(
                    (*port).split(':').next().unwrap().to_owned()
                        + port.rsplit('/').next().filter(|kind| *kind == "udp").unwrap_or("tcp")
                ),
                "{port} is published twice"
            );
        }
        let base = config.webrtc.udp_port_base;
        let last = base + config.webrtc.shards - 1;
        assert!(ports.contains(&&*format!("{base}-{last}:{base}-{last}/udp")), "{name}: media by UDP");
        assert!(ports.contains(&&*format!("{0}:{0}", config.webrtc.tcp_port)), "{name}: media by TCP");
        let volume = service["volumes"].as_vec().unwrap()[0].as_str().unwrap();
        let (volume, folder) = volume.split_once(':').unwrap();
        assert!(volumes.contains_key(volume) && folder == "/var/lib/penstock/data");
    }
    assert_eq!(numbers, [1, 2, 3].into());
}

#[test]
fn the_image_is_built_of_what_is_there_and_runs_as_nobody_special() {
    let text = read("Dockerfile");
    let lines: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let stages: Vec<_> = lines.iter().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(stages.len(), 2, "one builds, one runs: {stages:?}");
    let toolchain = read("rust-toolchain.toml");
    let version = stages[0].split([':', '-']).nth(1).expect("a version");
    assert!(toolchain.contains(version), "the image has Rust {version}: {toolchain}");
    let last = text.rfind("FROM ").expect("a stage");
    let user = text[last..].lines().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    assert_ne!(user, "root");
    // A folder that the image does not have would be root's when it is mounted.
    let volume = text[last..].lines().find_map(|line| line.strip_prefix("VOLUME ")).expect("a volume");
    let made = format!("install --directory --owner={user} --group={user} {volume}");
    assert!(text[last..].contains(&made), "{made}");
    // Nor does what must not be shown come along.
    assert!(read(".dockerignore").lines().any(|line| line == "*.secret"));
    for copied in lines.iter().filter_map(|line| line.strip_prefix("COPY --from=build ")) {
        let from =
            copied.split_whitespace().find_map(|word| word.strip_prefix("/penstock/")).expect("a path");
        assert!(from.starts_with("target/") || root().join(from).exists(), "{from} is not there");
    }
    // What it sets are keys of the configuration.
    let keys = text
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .filter(|(key, _)| key.starts_with("PENSTOCK_"));
    let environment = keys.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let config = NodeConfig::load(None, environment).expect("a configuration");
    assert!(config.data.webapps.starts_with("/usr/share"));
}
