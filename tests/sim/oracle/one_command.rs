//! A request names one command, however often it is asked.

use std::collections::BTreeMap;

use cluster_model::RequestId;

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct OneCommand {
    commands: BTreeMap<RequestId, u64>,
}

impl OneCommand {
    pub(super) fn proposed(&mut self, request: RequestId, command: u64) -> Verdict {
        let known = *self.commands.entry(request).or_insert(command);
        if known == command {
            Ok(())
        } else {
            broken("a request names one command", format!("{request} names two"))
        }
    }
}
