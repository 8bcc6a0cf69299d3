//! What protoc makes of `schemas/cluster/link.proto`.
#![allow(missing_docs, clippy::all, reason = "generated")]

tonic::include_proto!("penstock.cluster.v1");
