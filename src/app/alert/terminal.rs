//! The bell and the notifications of terminals. Only a terminal gets them, and only one that is known to understand.

use std::io::{self, IsTerminal as _, Write as _};

/// What makes the bell ring.
pub const BELL: &str = "\u{7}";

/// The bytes that have this terminal show a notification; `None`: it is not known to. `variable` gives those of the
/// environment; `text` must be sanitised.
#[must_use]
pub fn notification(variable: &dyn Fn(&str) -> Option<String>, text: &str) -> Option<String> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let program = variable("TERM_PROGRAM").unwrap_or_default();
    let is_kitty = is_set("KITTY_WINDOW_ID") || variable("TERM").is_some_and(|term| term == "xterm-kitty");
    // Inside tmux TERM_PROGRAM is tmux, and only what the outer terminal left behind names it.
    let traces = ["ITERM_SESSION_ID", "WEZTERM_PANE", "GHOSTTY_RESOURCES_DIR", "WT_SESSION"];
    let knows_osc9 =
        ["iTerm.app", "WezTerm", "ghostty"].contains(&program.as_str()) || traces.into_iter().any(is_set);
    let sequence = if is_kitty {
        format!("\u{1b}]99;;agentlog: {text}\u{1b}\\")
    } else if knows_osc9 {
        // The word in front also keeps a text that begins with `4;` from being taken for a progress bar.
        format!("\u{1b}]9;agentlog: {text}\u{7}")
    } else {
        return None;
    };
    if is_set("TMUX") {
        let inner = sequence.replace('\u{1b}', "\u{1b}\u{1b}");
        return Some(format!("\u{1b}Ptmux;{inner}\u{1b}\\"));
    }
    Some(sequence)
}

/// Whether there is a terminal to write to.
#[must_use]
pub fn is_there() -> bool {
    io::stderr().is_terminal() || io::stdout().is_terminal()
}

/// Writes to the terminal, as it is.
///
/// # Errors
/// When it cannot be written.
pub fn write(sequence: &str) -> io::Result<()> {
    if io::stderr().is_terminal() {
        return io::stderr().lock().write_all(sequence.as_bytes());
    }
    let mut out = io::stdout().lock();
    out.write_all(sequence.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(variables: &[(&str, &str)]) -> Option<String> {
        let value = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        notification(&value, "x")
    }

    #[test]
    fn only_terminals_that_are_known_get_a_notification() {
        assert_eq!(shown(&[]), None);
        assert_eq!(shown(&[("TERM_PROGRAM", "Apple_Terminal"), ("TERM", "xterm-256color")]), None);
        for program in ["iTerm.app", "WezTerm", "ghostty"] {
            let expected = Some("\u{1b}]9;agentlog: x\u{7}".to_owned());
            assert_eq!(shown(&[("TERM_PROGRAM", program)]), expected);
        }
        assert_eq!(shown(&[("WT_SESSION", "1")]), Some("\u{1b}]9;agentlog: x\u{7}".to_owned()));
        assert_eq!(shown(&[("TERM", "xterm-kitty")]), Some("\u{1b}]99;;agentlog: x\u{1b}\\".to_owned()));
    }

    #[test]
    fn inside_tmux_it_is_passed_on_to_the_terminal_around() {
        let inside = shown(&[("TERM_PROGRAM", "tmux"), ("TMUX", "/tmp/s,1,0"), ("KITTY_WINDOW_ID", "1")]);
        let expected = "\u{1b}Ptmux;\u{1b}\u{1b}]99;;agentlog: x\u{1b}\u{1b}\\\u{1b}\\";
        assert_eq!(inside.as_deref(), Some(expected));
        assert_eq!(shown(&[("TERM_PROGRAM", "tmux"), ("TMUX", "/tmp/s,1,0")]), None);
    }
}
