//! The commands of an encoder and their answers.

use std::time::Instant;

use base::limits;

use super::{Live, Output, Phase, Session};
use crate::amf0::Writer;
use crate::capabilities;
use crate::close::CloseReason;
use crate::command::Command;
use crate::publish::{ConnectInfo, PublishRequest, UrlError, cut};
use crate::refusal::Refusal;

impl Session {
    pub(super) fn command(&mut self, stream_id: u32, payload: &[u8], now: Instant) {
        let command = match Command::read(payload) {
            Ok(command) => command,
            Err(error) => return self.close(error.into()),
        };
        if !matches!(self.phase, Phase::Publishing(_)) {
            self.early_commands += 1;
            if self.early_commands > limits::RTMP_COMMANDS_BEFORE_PUBLISH_MAX {
                return self.close(CloseReason::TooManyCommands);
            }
        }
        let transaction = command.transaction;
        if command.cut_by_amf3 {
            return self.answer_error(
                transaction,
                "NetConnection.Call.Failed",
                "AMF3 is not supported. Connect with objectEncoding 0.",
            );
        }
        match command.name.as_str() {
            "connect" => self.on_connect(&command, now),
            _ if matches!(self.phase, Phase::Connecting) => {
                self.close(CloseReason::Protocol("a command came before connect"));
            }
            "createStream" => {
                self.streams = self.streams.saturating_add(1);
                let id = f64::from(self.streams);
                self.outgoing.command(0, Writer::command("_result", transaction).null().number(id));
            }
            "releaseStream" | "FCPublish" => {
                self.outgoing.command(0, Writer::command("_result", transaction).null().undefined());
            }
            "_checkbw" => self.outgoing.command(0, Writer::command("_result", transaction).null()),
            "getStreamLength" => {
                self.outgoing.command(0, Writer::command("_result", transaction).null().number(0.0));
            }
            "publish" => self.on_publish(stream_id, &command),
            "play" | "play2" => {
                let name = cut(command.argument(0).as_text().unwrap_or_default());
                let text = "RTMP playback is disabled.";
                self.outgoing.status(stream_id, "error", "NetStream.Failed", text, name);
                self.close(CloseReason::PlaybackDisabled);
            }
            "FCUnpublish" | "closeStream" => self.on_unpublish(now),
            "deleteStream" => {
                let deleted = command.argument(0).as_number();
                if let Phase::Publishing(live) = &self.phase
                    && deleted.is_none_or(|id| id == f64::from(live.stream_id))
                {
                    self.on_unpublish(now);
                }
            }
            // Nobody waits for an answer to anything else.
            _ => {}
        }
    }

    fn on_connect(&mut self, command: &Command, now: Instant) {
        if !matches!(self.phase, Phase::Connecting) {
            return self.close(CloseReason::Protocol("connect came twice"));
        }
        let text = |name| command.object().field(name).and_then(|value| value.as_text()).unwrap_or_default();
        self.connect = ConnectInfo::new(text("app"), text("tcUrl"), text("flashVer"));
        match self.connect.application() {
            Ok(app) if (self.knows)(&app) => {}
            _ => {
                let scope = cut(self.connect.scope());
                let text = format!("No scope '{scope}' on this server.");
                self.answer_error(command.transaction, "NetConnection.Connect.InvalidApp", &text);
                return self.close(CloseReason::UnknownApplication);
            }
        }
        self.outgoing.begin();
        let mut properties = vec![("fmsVer", "FMS/3,0,1,123".into()), ("capabilities", 31.0.into())];
        properties.extend(capabilities::answer(command.object()));
        let information = [
            ("level", "status".into()),
            ("code", "NetConnection.Connect.Success".into()),
            ("description", "Connection succeeded.".into()),
            ("objectEncoding", 0.0.into()),
        ];
        let answer = Writer::command("_result", command.transaction).object(&properties).object(&information);
        self.outgoing.command(0, answer);
        self.phase = Phase::Idle;
        self.wait_again(now);
    }

    fn on_publish(&mut self, stream_id: u32, command: &Command) {
        if stream_id == 0 || stream_id > self.streams {
            return self.close(CloseReason::Protocol("publish came before createStream"));
        }
        let name = command.argument(0).as_text().unwrap_or_default();
        if let Phase::Publishing(live) = &self.phase {
            let text = "This connection publishes already. Use another connection for another stream.";
            let code = "NetStream.Publish.BadName";
            return self.outgoing.status(stream_id, "error", code, text, &live.name);
        }
        let ConnectInfo { app, tc_url, flash_ver } = &self.connect;
        match PublishRequest::read(app, tc_url, flash_ver, name) {
            Ok(request) => {
                self.phase = Phase::Asking(Live { stream_id, name: cut(&request.stream).to_owned() });
                self.outputs.push_back(Output::Publish(Box::new(request)));
            }
            Err(UrlError::TooManyParameters) => {
                self.phase = Phase::Asking(Live { stream_id, name: String::new() });
                self.refuse(Refusal::TooManyParameters);
            }
            Err(UrlError::BadApplication) => self.close(CloseReason::UnknownApplication),
        }
    }

    fn on_unpublish(&mut self, now: Instant) {
        let Phase::Publishing(live) = &self.phase else { return };
        let text = format!("{} is now unpublished.", live.name);
        self.outgoing.status(live.stream_id, "status", "NetStream.Unpublish.Success", &text, &live.name);
        self.outputs.push_back(Output::Unpublish);
        self.phase = Phase::Idle;
        self.reader.distrust();
        self.wait_again(now);
    }

    fn wait_again(&mut self, now: Instant) {
        self.waiting_since = now;
        self.early_bytes = 0;
        self.early_commands = 0;
    }

    fn answer_error(&mut self, transaction: f64, code: &str, text: &str) {
        let information = [("level", "error".into()), ("code", code.into()), ("description", text.into())];
        self.outgoing.command(0, Writer::command("_error", transaction).null().object(&information));
    }
}
