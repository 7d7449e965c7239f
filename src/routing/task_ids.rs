//! The ids of servers' tasks as clients see them: which server, which task of which tool, and for whom, under a seal.
//!
//! A client that holds one may ask its server of nothing but that task, and nobody else may (S-07). Made of the server's own
//! id, so that nothing is kept for a task however long it lives; the key is this run's, so that an id is none after it.

use crate::mcp::caller::Principal;
use crate::wire::hex::{hex, unhex};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What seals the ids of one run.
pub struct TaskIds {
    key: [u8; KEY_BYTES],
}

/// A server, by its key, what it calls a task, and the tool that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskId {
    pub server: String,
    /// Empty, if the tool's name is longer than is kept of one.
    pub tool: String,
    pub own: String,
}

impl TaskIds {
    pub fn new(key: [u8; KEY_BYTES]) -> Self {
        Self { key }
    }

    /// What this principal's clients call a task of this tool of a server.
    pub fn expose(&self, principal: &Principal, server: &str, tool: &str, own: &str) -> String {
        let tool = if tool.len() > TOOL_BYTES_MAX { "" } else { tool };
        let said = hex(format!("{server}\n{}\n{tool}{own}", tool.len()).as_bytes());
        let seal = hex(&self.seal(principal, &said).finalize().into_bytes());
        format!("{PREFIX}{said}-{seal}")
    }

    /// The task that this principal's client means; `None` for anything that `expose` did not make for it.
    pub fn read(&self, principal: &Principal, exposed: &str) -> Option<TaskId> {
        if exposed.len() > EXPOSED_BYTES_MAX {
            return None;
        }
        let (said, seal) = exposed.strip_prefix(PREFIX)?.split_once('-')?;
        // In constant time: how long it takes says nothing of how near a guess is.
        self.seal(principal, said).verify_slice(&unhex(seal)?).ok()?;
        let text = String::from_utf8(unhex(said)?).ok()?;
        let (server, rest) = text.split_once('\n')?;
        let (length, rest) = rest.split_once('\n')?;
        let (tool, own) = rest.split_at_checked(length.parse().ok()?)?;
        Some(TaskId { server: server.to_owned(), tool: tool.to_owned(), own: own.to_owned() })
    }

    fn seal(&self, principal: &Principal, said: &str) -> Hmac<Sha256> {
        let mut seal = <Hmac<Sha256> as KeyInit>::new(&self.key.into());
        seal.update(&(principal.as_str().len() as u64).to_be_bytes());
        seal.update(principal.as_str().as_bytes());
        seal.update(said.as_bytes());
        seal
    }
}

impl std::fmt::Debug for TaskIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TaskIds")
    }
}

pub const KEY_BYTES: usize = 64;
const PREFIX: &str = "task-";
/// A longer name of a tool is left out: by a door that hides any tool its tasks are not found, and settings of the tool do not
/// hold for what is asked about them.
const TOOL_BYTES_MAX: usize = 1024;
/// A longer id is none of ours.
const EXPOSED_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> TaskIds {
        TaskIds::new([7; KEY_BYTES])
    }

    #[test]
    fn an_id_leads_back_to_its_server_and_task() {
        for (server, tool, own) in
            [("github", "search", "786512e2-9e0d"), ("my files", "é\n1", "é\n\"x"), ("a", "", "")]
        {
            let exposed = ids().expose(&Principal::local(), server, tool, own);
            assert!(exposed.is_ascii());
            let read = ids().read(&Principal::local(), &exposed).unwrap();
            assert_eq!((&*read.server, &*read.tool, &*read.own), (server, tool, own));
        }
        let long = "t".repeat(TOOL_BYTES_MAX + 1);
        let exposed = ids().expose(&Principal::local(), "a", &long, "b");
        assert_eq!(ids().read(&Principal::local(), &exposed).unwrap().tool, "");
    }

    #[test]
    fn an_id_with_any_bit_flipped_is_none() {
        let exposed = ids().expose(&Principal::local(), "s", "t", "t-1");
        for at in 0..exposed.len() {
            for bit in 0..8 {
                let mut bytes = exposed.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                if let Ok(forged) = String::from_utf8(bytes) {
                    assert_eq!(ids().read(&Principal::local(), &forged), None, "{forged}");
                }
            }
        }
        for cut in 0..exposed.len() {
            assert_eq!(ids().read(&Principal::local(), &exposed[..cut]), None);
            assert_eq!(ids().read(&Principal::local(), &exposed[cut + 1..]), None);
        }
    }

    #[test]
    fn an_id_of_another_principal_or_run_is_none() {
        let exposed = ids().expose(&Principal::local(), "s", "t", "1");
        assert_eq!(ids().read(&Principal::bearer(), &exposed), None);
        assert_eq!(TaskIds::new([8; KEY_BYTES]).read(&Principal::local(), &exposed), None);
    }
}
