//! Which project and worktree a working directory belongs to, by its path alone.

/// What the path of a working directory tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) project: Option<String>,
    pub(crate) worktree: Option<String>,
}

impl Place {
    /// Worktrees lie in `<project>/.worktrees/<name>` or `<project>/.claude/worktrees/<name>`.
    pub(crate) fn of(cwd: &str) -> Self {
        let parts: Vec<&str> = cwd.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
        let is_root = |idx: usize| match parts.get(idx) {
            Some(&".worktrees") => Some(idx),
            Some(&"worktrees") if idx > 0 && parts.get(idx - 1) == Some(&".claude") => Some(idx - 1),
            _ => None,
        };
        let found = (0..parts.len()).find_map(|idx| is_root(idx).map(|root| (root, idx + 1)));
        let (root, worktree) = match found {
            Some((root, name)) if parts.get(name).is_some() => (root, parts.get(name)),
            _ => (parts.len(), None),
        };
        let project = root.checked_sub(1).and_then(|idx| parts.get(idx));
        Self { project: project.map(ToString::to_string), worktree: worktree.map(ToString::to_string) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_project_and_worktree() {
        for (cwd, project, worktree) in [
            ("/home/u/app", Some("app"), None),
            ("/home/u/app/.worktrees/fix-1/src", Some("app"), Some("fix-1")),
            ("/home/u/app/.claude/worktrees/fix", Some("app"), Some("fix")),
            ("/home/u/worktrees/fix", Some("fix"), None),
            ("C:\\Work\\Demo", Some("Demo"), None),
            ("/", None, None),
        ] {
            let place = Place::of(cwd);
            assert_eq!((place.project.as_deref(), place.worktree.as_deref()), (project, worktree), "{cwd}");
        }
    }
}
