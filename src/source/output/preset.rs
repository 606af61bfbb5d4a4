//! The patterns of common programs. Their words are those that the programs print; nothing is guessed beyond them.

use crate::source::output::config::Preset;

/// What is looked for where nothing else is said.
pub(super) const ERRORS: &[&str] = &["ERROR", "FAILED", "Exception", "Traceback", "CRITICAL", "Fatal"];
/// What marks the end where nothing else is said.
pub(super) const MARKERS: &[&str] = &["DONE"];

/// How progress is told where nothing else is said.
pub(super) const PROGRESS: &[&str] = &[
    r"\bProgress: *(?P<percent>100(?:\.0*)?|[0-9]{1,2}(?:\.[0-9]+)?) ?%",
    r"^(?P<message>Processing \w+ (?P<current>[0-9]+)/(?P<total>[0-9]+))$",
];

/// The patterns of one program.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) progress: &'static [&'static str],
    pub(super) success: &'static [&'static str],
    pub(super) failure: &'static [&'static str],
    /// Empty: [`ERRORS`].
    pub(super) errors: &'static [&'static str],
    /// The program counts several things one after the other, so a new total is no contradiction.
    pub(super) has_many_totals: bool,
}

/// The patterns of a preset.
pub(super) const fn known(preset: Preset) -> Known {
    match preset {
        Preset::Mqi => Known {
            progress: &[
                r"with (?P<total>[0-9]+) batches",
                r"Generating particles for \((?P<current>[0-9]+) of (?P<total>[0-9]+) batches\)",
            ],
            success: &["Simulation completed successfully"],
            failure: &["FATAL ERROR", "ERROR:", "Segmentation fault"],
            errors: &[],
            has_many_totals: false,
        },
        Preset::Tqdm => Known {
            progress: &[
                r"^(?:(?P<message>[^|%]*?): )? *(?P<percent>[0-9]{1,3})%\|[^|]*\|(?: *(?P<current>[0-9]+)/(?P<total>[0-9]+)(?: |$))?",
            ],
            success: &[],
            failure: &[],
            errors: &[],
            has_many_totals: true,
        },
        Preset::Cargo => Known {
            progress: &[
                r"^ *Building \[[=> ]*\] (?P<current>[0-9]+)/(?P<total>[0-9]+)(?:: (?P<message>[^,]+))?",
                r"^ *(?:Compiling|Checking|Documenting) (?P<message>\S+ v[0-9]\S*)",
            ],
            success: &[r"^ *Finished [`\w]"],
            failure: &[r"^test result: FAILED", r"could not compile `", r"^error: test failed"],
            errors: &[r"^error(?:\[E[0-9]+\])?:", r"^test .* \.\.\. FAILED$", "panicked at "],
            has_many_totals: true,
        },
        Preset::Pytest => Known {
            progress: &[r"\[ *(?P<percent>[0-9]{1,3})%\]$"],
            success: &[r"^(?:=+ )?(?:[0-9]+ \w+, )*[0-9]+ passed\b.* in [0-9.]+ ?s"],
            failure: &[
                r"^(?:=+ )?(?:[0-9]+ \w+, )*[0-9]+ (?:failed|errors?)\b.* in [0-9.]+ ?s",
                "^INTERNALERROR>",
                "^!+ .*Interrupted: ",
            ],
            errors: &["^(?:FAILED|ERROR) ", "^E   "],
            has_many_totals: true,
        },
        Preset::Snakemake => Known {
            progress: &[
                r"(?P<current>[0-9]+) of (?P<total>[0-9]+) steps \((?P<percent>[0-9.]+)%\) done",
                r"^(?:local)?(?:rule|checkpoint) (?P<message>\w+):",
            ],
            success: &[r"steps \(100%\) done", "^Nothing to be done"],
            failure: &["Exiting because a job execution failed", "^WorkflowError"],
            errors: &["Error in rule ", "Error in group ", "Exception"],
            has_many_totals: true,
        },
        Preset::Nextflow => Known {
            progress: &[
                r"^\[[^\]]+\] (?:process > )?(?P<part>[\w:.-]+)[^\[]*\[ *[0-9]{1,3}%\] (?P<current>[0-9]+) of (?P<total>[0-9]+)",
            ],
            success: &["Pipeline completed successfully", "Workflow completed successfully"],
            failure: &["Error executing process", r"ERROR ~ ", "Execution aborted"],
            errors: &[],
            has_many_totals: true,
        },
        Preset::Percent => Known {
            progress: &[
                r"(?:^|[^0-9.,])(?P<percent>100(?:\.0*)?|[0-9]{1,2}(?:\.[0-9]+)?) ?%(?:[^%]*$|[^0-9A-Za-z%])",
            ],
            success: &[],
            failure: &[],
            errors: &[],
            has_many_totals: true,
        },
    }
}
