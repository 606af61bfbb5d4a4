//! The only place where this program signals what it watches: a job's own process, when its configuration asks for it.

use crate::source::process::{ProcessId, Sampler};
use rustix::process::{Pid, Signal, kill_process};
use std::io;

/// Tells a process to end (SIGTERM); `false`: it is over already, or its number means another process by now.
///
/// # Errors
/// When the process may not be signalled.
pub(super) fn end(id: ProcessId, sampler: &mut Sampler) -> io::Result<bool> {
    let pid = i32::try_from(id.pid).ok().filter(|pid| *pid > 1 && id.pid != std::process::id());
    let Some(pid) = pid.and_then(Pid::from_raw) else { return Ok(false) };
    if sampler.sample_of(id).state.is_over() {
        return Ok(false);
    }
    kill_process(pid, Signal::TERM)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    #[test]
    fn only_the_very_process_is_told_to_end() {
        let mut sampler = Sampler::default();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let id = sampler.sample(child.id()).unwrap().id;
        let before = ProcessId { started_at: id.started_at.plus_millis(-60_000), ..id };
        assert!(!end(before, &mut sampler).unwrap());
        assert_eq!(child.try_wait().unwrap(), None);
        for pid in [0, 1, std::process::id(), u32::MAX] {
            assert!(!end(ProcessId { pid, ..id }, &mut sampler).unwrap());
        }
        assert!(end(id, &mut sampler).unwrap());
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert!(!end(id, &mut sampler).unwrap());
    }
}
