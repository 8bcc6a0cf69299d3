//! The configuration as its users meet it.

use std::path::PathBuf;

use super::schema::{Role, Schema};
use super::*;
use crate::ConfigError;

/// A `penstock.toml` with this content, and what is read from it with this environment over it.
fn read(toml: &str, environment: &[(&str, &str)]) -> Result<NodeConfig, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("penstock.toml");
    std::fs::write(&file, toml).unwrap();
    NodeConfig::load(Some(&file), variables(environment))
}

fn variables(environment: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
}

/// The complaint, one line per problem, without the folder of the test.
fn complaint(toml: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let error = read(toml, environment).unwrap_err();
    let ConfigError::Invalid(problems) = &error else { panic!("{error}") };
    for problem in problems {
        assert!(error.to_string().contains(&problem.to_string()));
    }
    let short =
        |line: String| line.split_once("/penstock.toml").map(|(_, tail)| tail.to_owned()).unwrap_or(line);
    problems.iter().map(|problem| short(problem.to_string())).collect()
}

#[test]
fn nothing_given_means_the_defaults() {
    let config = NodeConfig::load(None, std::iter::empty()).unwrap();
    assert_eq!(config, NodeConfig::default());
    let webrtc = (config.webrtc.udp_port_base, config.webrtc.shards);
    assert_eq!(
        (config.http.port, config.http.https_port, config.rtmp.port, webrtc),
        (5080, 5443, 1935, (50_000, 0))
    );
    assert_eq!(config.tls.files(), None);
    assert_eq!(config.metrics.required_token(), None);
}

#[test]
fn the_environment_overrides_the_file_which_overrides_the_defaults() {
    let toml = "log.format = 'json'\n[http]\nport = 0x50\nhttps_port = 1_443\n[webrtc]\npublic_addresses = ['::1']\n";
    let environment = [
        ("PENSTOCK_HTTP_PORT", "0"),
        ("PENSTOCK_WEBRTC_PUBLIC_ADDRESSES", "203.0.113.5, 2001:db8::5"),
        ("PENSTOCK_RTMP_ENABLED", "false"),
        ("HTTP_PORT", "7"),
    ];
    let config = read(toml, &environment).unwrap();
    assert_eq!((config.http.port, config.http.https_port), (0, 1443));
    assert_eq!(config.webrtc.public_addresses.len(), 2);
    assert!(!config.rtmp.enabled);
    assert_eq!(config.log, LogConfig { level: "info".into(), format: LogFormat::Json });
    assert_eq!(read(toml, &[]).unwrap().http.port, 80);
    let nowhere = read(toml, &[("PENSTOCK_WEBRTC_PUBLIC_ADDRESSES", "")]).unwrap();
    assert!(nowhere.webrtc.public_addresses.is_empty());
}

#[test]
fn every_key_is_overridable_by_environment() {
    let mut count = 0;
    for key in Schema::of::<NodeConfig>().keys().filter(|key| key.role == Role::Plain) {
        let text = match &key.default {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(items) => items.iter().map(|item| item.to_string()).collect(),
            other => other.to_string(),
        };
        let config = read("", &[(&key.environment(), &text)]);
        assert_eq!(config.unwrap(), NodeConfig::default(), "{}", key.path);
        count += 1;
    }
    assert!(count >= 20, "only {count} keys");
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() {
    let toml = "[http]\nport = 1\nprot = 2\n\n[rtpm]\n[log]\ncolour_of_the_lines = 'red'\n";
    assert_eq!(
        complaint(toml, &[]),
        [
            ":3: the key http.prot is unknown; did you mean http.port?",
            ":7: the key log.colour_of_the_lines is unknown; remove it",
            ":5: the key rtpm is unknown; did you mean rtmp?",
        ]
    );
    assert_eq!(
        complaint("http = 5080\n", &[]),
        [":1: http is a section; write [http] on a line of its own, its keys below"]
    );
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest_known_one() {
    assert_eq!(
        complaint("", &[("PENSTOCK_HTP_PORT", "1"), ("PENSTOCK_COLOUR", "1")]),
        [
            "environment variable PENSTOCK_HTP_PORT: the variable PENSTOCK_HTP_PORT is unknown; did you mean PENSTOCK_HTTP_PORT?",
            "environment variable PENSTOCK_COLOUR: the variable PENSTOCK_COLOUR is unknown; remove it",
        ]
    );
    // Kubernetes says so of a service named `penstock`, wanted or not.
    let foreign = [("PENSTOCK_SERVICE_HOST", "10.0.0.1"), ("PENSTOCK_PORT_5080_TCP", "tcp://10.0.0.1:5080")];
    assert_eq!(read("", &foreign).unwrap(), NodeConfig::default());
    assert!(read("", &[("PENSTOCK_CONFIG", "penstock.toml")]).is_ok());
}

#[test]
fn wrong_values_are_all_told_at_once_with_what_is_allowed() {
    let toml = "[http]\nport = '80'\nhttps_port = 65536\nbind_addresses = ['localhost']\nworkers = -1\n\
                [log]\nformat = 'xml'\nlevel = ''\n[limits]\nrtmp_connections = 0\n\
                [cluster]\nauthority_lease_s = 9\n";
    assert_eq!(
        complaint(toml, &[("PENSTOCK_RTMP_PORT", ""), ("PENSTOCK_RTMP_ENABLED", "yes")]),
        [
            ":12: cluster.authority_lease_s is 9; it must be a whole number from 10 to 86400",
            r#":4: http.bind_addresses is ["localhost"]; it must be a list, each item an IP address"#,
            ":3: http.https_port is 65536; it must be a whole number from 0 to 65535",
            r#":2: http.port is "80"; it must be a whole number from 0 to 65535"#,
            ":5: http.workers is -1; it must be a whole number from 0 to 1024",
            ":10: limits.rtmp_connections is 0; it must be a whole number from 1 to 1000000",
            r#":7: log.format is "xml"; it must be one of text, json"#,
            r#":8: log.level is ""; it must be a text that is not empty"#,
            r#"environment variable PENSTOCK_RTMP_PORT: rtmp.port is ""; it must be a whole number from 0 to 65535"#,
            r#"environment variable PENSTOCK_RTMP_ENABLED: rtmp.enabled is "yes"; it must be true or false"#,
        ]
    );
}

#[test]
fn contradictions_are_refused() {
    for (toml, told) in [
        (
            "tls.key_file = 'k'",
            "configuration: only one of tls.certificate_file and tls.key_file is given; set both or none",
        ),
        (
            "rtmp.port = 5080",
            "configuration: http.port and rtmp.port are both 5080; give each a port of its own",
        ),
        (
            "webrtc = { udp_port_base = 65535, shards = 2 }",
            "configuration: webrtc.udp_port_base 65535 leaves fewer than webrtc.shards (2) ports; lower it",
        ),
        (
            "webrtc.public_addresses = ['0.0.0.0']",
            "configuration: webrtc.public_addresses has 0.0.0.0, which nobody can send to; name real ones",
        ),
        (
            "cluster = { enabled = true, members = ['1@a:5090'] }",
            "configuration: cluster.secret_file is not given: \"penstock cluster secret\" makes one, which all nodes share",
        ),
        (
            "cluster = { enabled = true, secret = 's' }",
            "configuration: cluster.members is empty: list those that vote as \"number@name:port\"",
        ),
        (
            "cluster = { enabled = true, secret = 's', members = ['1@a:5090', '2@b'] }",
            "configuration: cluster.members has \"2@b\", which is not number@name:port",
        ),
        (
            "cluster = { enabled = true, secret = 's', members = ['1@a:5090', '1@b:5090'] }",
            "configuration: cluster.members has number 1 twice",
        ),
        (
            "cluster = { enabled = true, secret = 's', node = 3, members = ['1@a:5090'] }",
            "configuration: cluster.members does not list this node, 3: add it, or set cluster.role to \"join\" or \"client\"",
        ),
        (
            "cluster = { enabled = true, secret = 's', node = 1, role = 'client', members = ['1@a:5090'] }",
            "configuration: cluster.members lists node 1 as one that votes: give this client another cluster.node; if it is that node and is to vote no more, run \"penstock cluster remove 1\" and take it off the list first",
        ),
    ] {
        assert_eq!(complaint(toml, &[]), [told]);
    }
    for toml in [
        "http = { port = 0, https_port = 0 }\nrtmp.port = 0",
        "rtmp = { enabled = false, port = 5080 }",
        "webrtc = { udp_port_base = 65535, shards = 1 }",
        "tls = { key_file = 'k', certificate_file = 'c' }",
        "cluster = { enabled = true, secret = 's', node = 3, role = 'client', members = ['1@a:5090'] }",
        "cluster = { enabled = true, secret = 's', node = 2, members = ['1@[::1]:5090', '2@b:5090'] }",
        "cluster = { enabled = false, node = 7 }",
    ] {
        assert!(read(toml, &[]).is_ok(), "{toml}");
    }
}

#[test]
fn a_secret_comes_from_its_key_or_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "from file\n").unwrap();
    let path = file.to_str().unwrap();
    let toml = format!("[metrics]\ntoken_file = '{path}'\n");
    let token = |toml: &str, environment: &[(&str, &str)]| {
        read(toml, environment).unwrap().metrics.required_token().map(|token| token.expose().clone())
    };
    assert_eq!(token("metrics.token = 'plain'", &[]).unwrap(), "plain");
    assert_eq!(token(&toml, &[]).unwrap(), "from file");
    assert_eq!(token(&toml, &[("PENSTOCK_METRICS_TOKEN", "other")]).unwrap(), "other");
    assert_eq!(
        token("metrics.token = 'plain'", &[("PENSTOCK_METRICS_TOKEN_FILE", path)]).unwrap(),
        "from file"
    );
    assert_eq!(token(&toml, &[("PENSTOCK_METRICS_TOKEN", "")]).unwrap(), "from file");
    assert_eq!(token("", &[("PENSTOCK_METRICS_TOKEN", "")]), None);

    let both = format!("{toml}token = 'hunter2'\n");
    assert_eq!(complaint(&both, &[]), [":2: metrics.token and metrics.token_file are both given; keep one"]);
    std::fs::write(&file, " \n").unwrap();
    assert!(complaint(&toml, &[])[0].ends_with("token\", which is empty"));
    std::fs::remove_file(&file).unwrap();
    assert!(complaint(&toml, &[])[0].contains("which cannot be read: No such file"));
}

#[test]
fn a_secret_is_never_shown() {
    let config = read("metrics.token = 'hunter2'", &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
    for toml in ["metrics.token = ['hunter2']", "metrics.token = 'hunter2", "metrics.token = hunter2"] {
        let error = read(toml, &[]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_no_toml_is_told_by_line() {
    let told = complaint("[http]\nport = 1\nport = 2\n", &[]);
    assert!(told[0].starts_with(":3: is not TOML: "), "{told:?}");
    assert_eq!(told[0].lines().count(), 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("penstock.toml");
    std::fs::write(&file, b"# one\n\xff").unwrap();
    let error = NodeConfig::load(Some(&file), std::iter::empty()).unwrap_err().to_string();
    assert!(error.ends_with("penstock.toml:2: is not UTF-8; save it as UTF-8"), "{error}");
    std::fs::write(&file, vec![b'#'; limits::SETTINGS_FILE_BYTES_MAX + 1]).unwrap();
    let error = NodeConfig::load(Some(&file), std::iter::empty()).unwrap_err().to_string();
    assert!(error.contains("larger than 1048576 bytes"), "{error}");
    std::fs::remove_file(&file).unwrap();
    let error = NodeConfig::load(Some(&file), std::iter::empty()).unwrap_err().to_string();
    assert!(error.ends_with("name a configuration file that is there"), "{error}");
}

#[test]
fn the_example_says_the_defaults() {
    let example = example_toml();
    assert_eq!(read(&example, &[]).unwrap(), NodeConfig::default());
    let switched_on: String = example
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|line| !line.is_empty() && !line.starts_with(' ')).unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(read(&switched_on, &[]).unwrap(), NodeConfig::default());
    for key in Schema::of::<NodeConfig>().keys() {
        assert!(switched_on.contains(&format!("\n{} = ", key.name)), "{}", key.path);
        assert!(!key.text.is_empty(), "{} has no comment", key.path);
    }
}

#[test]
fn generated_files_are_up_to_date() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    for (file, generated) in [
        ("penstock.toml", example_toml()),
        ("schemas/config.schema.json", json_schema()),
        ("schemas/settings.json", crate::settings_table_json()),
    ] {
        let file = root.join(file);
        if std::env::var_os("PENSTOCK_BLESS").is_some() {
            std::fs::write(&file, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            committed == generated,
            "{} differs from what the types say: run `make fix`, or this test with PENSTOCK_BLESS=1",
            file.display()
        );
    }
}
