//! Generates the messages and the service of `schemas/cluster`.

fn main() -> std::io::Result<()> {
    let schemas = "../../schemas/cluster";
    tonic_prost_build::configure()
        // Connections are made here, one per class and peer, and not by a transport of the generated client.
        .build_transport(false)
        // What a message carries is a view of what was received.
        .bytes(".penstock.cluster.v1.Frame")
        .compile_protos(&[format!("{schemas}/link.proto")], &[schemas.to_owned()])
}
