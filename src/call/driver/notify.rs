//! After the call: a message that was taken is sent to the owner's telephone (MESSAGE, RFC 3428), once.

use std::time::Duration;

use chrono::{DateTime, Local};
use tokio::time::timeout;

use super::Driver;
use crate::call::{EndedBy, notice};
use crate::engine::Language;
use crate::log::{LogItem, Notified};
use crate::sip::AccountId;

/// The longest wait for his telephone; the call's files are not finished before.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is told of messages.
#[derive(Debug, Clone)]
pub struct Notify {
    pub account: Option<AccountId>,
    /// `user@host`.
    pub target: String,
    pub language: Language,
}

impl Driver {
    /// Sends what was taken and notes in the record what became of it.
    pub(super) async fn notify(&mut self, by: EndedBy, at: DateTime<Local>) {
        // A name alone is no message.
        let message = self.conversation.message().filter(|m| m.number.is_some() || m.matter.is_some());
        let (Some(notify), Some(message)) = (&self.office.notify, message) else { return };
        let text = notice::text(notify.language, message, self.caller_number.as_deref(), at.naive_local());
        let result = match by {
            EndedBy::Shutdown => Err("the program was stopped".to_owned()),
            _ => {
                let sent = self.office.sip.message(notify.account, notify.target.clone(), text);
                match timeout(PATIENCE, sent).await {
                    Ok(result) => result.map_err(|cause| cause.to_string()),
                    Err(_) => Err("no answer".to_owned()),
                }
            }
        };
        let notified = match result {
            Ok(()) => {
                tracing::info!("the owner's telephone has the message");
                Notified::Sent
            }
            Err(why) => {
                tracing::warn!(
                    why,
                    "the message did not reach the owner's telephone ([message] sip): it is in the call log"
                );
                Notified::Failed(why)
            }
        };
        if let Some(log) = &mut self.log {
            log.item(LogItem::Notified(notified));
        }
    }
}
