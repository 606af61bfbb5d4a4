//! The status of a process that ended and that tmux has not collected: it happens that tmux misses the end of a child, and
//! then says only that the pane is dead. Linux keeps the status where everyone of the same user can read it; elsewhere
//! there is none.

use crate::base::fs;
use crate::source::tmux::pane::Death;
use std::path::Path;

/// Fields of `/proc/<pid>/stat` behind the name of the command, counted from 0 (proc(5)).
const STATE: usize = 0;
const PARENT: usize = 1;
const EXIT_CODE: usize = 49;

/// The death with what the process itself left behind, where the server does not know how it ended.
pub(super) fn completed(death: &Death, pid: Option<u32>, server_pid: &str) -> Death {
    let is_known = death.exit_code.is_some() || death.signal.is_some();
    let left = pid.filter(|_| !is_known).and_then(|pid| {
        let stat = fs::read_regular_text(&Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
        status(&stat, server_pid)
    });
    left.map_or_else(|| death.clone(), |left| Death { at: death.at, ..left })
}

/// The status in a line of `stat`, if it is that of a zombie whose parent is the server.
fn status(stat: &str, server_pid: &str) -> Option<Death> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let is_its = fields.get(STATE) == Some(&"Z") && fields.get(PARENT) == Some(&server_pid);
    let status: i64 = fields.get(EXIT_CODE).filter(|_| is_its)?.parse().ok()?;
    let signal = status & 0x7f;
    let is_exit = signal == 0;
    Some(Death {
        exit_code: is_exit.then_some((status >> 8) & 0xff),
        signal: (!is_exit).then(|| signal.to_string()),
        at: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(state: &str, parent: &str, status: &str) -> String {
        format!("7 (sh) x) {state} {parent} {} {status}\n", ["0"; 47].join(" "))
    }

    #[test]
    fn a_zombie_of_the_server_has_a_status() {
        let exited = Death { exit_code: Some(3), ..Death::default() };
        assert_eq!(status(&stat("Z", "5", "768"), "5"), Some(exited));
        let killed = Death { signal: Some("9".into()), ..Death::default() };
        assert_eq!(status(&stat("Z", "5", "137"), "5"), Some(killed));
        for (stat, server) in
            [(stat("S", "5", "768"), "5"), (stat("Z", "5", "768"), "6"), ("7 (sh".into(), "5")]
        {
            assert_eq!(status(&stat, server), None, "{stat}");
        }
    }

    #[test]
    fn what_the_server_knows_stays() {
        let known = Death { exit_code: Some(1), ..Death::default() };
        assert_eq!(completed(&known, Some(std::process::id()), "1"), known);
        assert_eq!(completed(&Death::default(), Some(std::process::id()), "1"), Death::default());
        assert_eq!(completed(&Death::default(), None, "1"), Death::default());
    }
}
