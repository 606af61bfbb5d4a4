//! The presets against lines such as their programs print.

use super::*;

fn step(current: u64, total: u64, percent: f64, step: &str) -> Value {
    let mut said = progress(current, total, percent);
    said["step"] = json!(step);
    said
}

#[test]
fn mqi_knows_its_failures() {
    for line in ["FATAL ERROR: no GPU", "ERROR: x", "Segmentation fault (core dumped)"] {
        assert_eq!(read("preset = \"mqi\"", &[line]).1, failed(line));
    }
    let line = "Simulation completed successfully";
    assert_eq!(read("preset = \"tps_env\"", &[line]), (Vec::new(), completed(line)));
}

#[test]
fn tqdm_is_followed_inside_one_line() {
    let line = "Epoch 1:   0%|          | 0/100 [00:00<?, ?it/s]\rEpoch 1:  45%|████▌     | 45/100 [00:10<00:12, 4.4it/s]\rEpoch 1: 100%|██████████| 100/100 [00:22<00:00, 4.4it/s]";
    let (said, ended) = read("preset = \"tqdm\"", &[line]);
    let expected =
        [(0, 0.0), (45, 45.0), (100, 100.0)].map(|(current, percent)| step(current, 100, percent, "Epoch 1"));
    assert_eq!((said, ended), (expected.to_vec(), Vec::new()));
    let (said, _) =
        read("preset = \"tqdm\"", &[" 45%|████ | 45/100 [00:10<00:12]", " 50%|█████| 25/50 [00:10<00:10]"]);
    assert_eq!(said, [progress(45, 100, 45.0), progress(25, 50, 50.0)], "another bar has another total");
    let (said, _) = read("preset = \"tqdm\"", &[" 50%|█████| 1.20k/2.40k [00:10<00:10]"]);
    assert_eq!(said, [json!({"type": "progress.reported", "percent": 50.0})]);
}

#[test]
fn cargo_is_followed() {
    let (said, ended) = read(
        "preset = \"cargo\"",
        &[
            "   Compiling serde v1.0.200",
            "    Building [=====>      ] 45/100: serde, libc(build)",
            "error[E0382]: borrow of moved value: `x`",
            "error: could not compile `demo` (lib) due to 1 previous error",
        ],
    );
    assert_eq!(said[0], json!({"type": "progress.reported", "step": "serde v1.0.200"}));
    assert_eq!(said[1], step(45, 100, 45.0, "serde"));
    assert_eq!(said.iter().filter(|said| said["type"] == "error.matched").count(), 2);
    assert_eq!(ended, failed("error: could not compile `demo` (lib) due to 1 previous error"));
    let finished = "    Finished `dev` profile [unoptimized] target(s) in 1.02s";
    assert_eq!(read("preset = \"cargo\"", &[finished]).1, completed(finished.trim()));
    let result = "test result: FAILED. 1 passed; 1 failed; 0 ignored";
    assert_eq!(read("preset = \"cargo\"", &[result]).1, failed(result));
    assert_eq!(read("preset = \"cargo\"", &["test result: ok. 2 passed; 0 failed"]).1, []);
}

#[test]
fn pytest_is_followed() {
    let (said, ended) = read(
        "preset = \"pytest\"",
        &[
            "tests/test_a.py .....F                                   [ 45%]",
            "FAILED tests/test_a.py::test_x - assert 1 == 2",
            "=================== 3 failed, 10 passed in 2.51s ===================",
        ],
    );
    assert_eq!(said[0], json!({"type": "progress.reported", "percent": 45.0}));
    assert_eq!(said[1]["message"], "FAILED tests/test_a.py::test_x - assert 1 == 2");
    assert_eq!(ended, failed("=================== 3 failed, 10 passed in 2.51s ==================="));
    assert_eq!(
        read("preset = \"pytest\"", &["13 passed, 2 warnings in 0.12s"]).1,
        completed("13 passed, 2 warnings in 0.12s")
    );
    assert_eq!(read("preset = \"pytest\"", &["=== 1 passed, 1 error in 0.12s ==="]).1.len(), 1);
    assert!(matches!(
        read("preset = \"pytest\"", &["=== 1 passed, 1 error in 0.12s ==="]).1[0],
        Ended::Failed(_)
    ));
}

#[test]
fn snakemake_is_followed() {
    let (said, ended) =
        read("preset = \"snakemake\"", &["rule align:", "5 of 10 steps (50%) done", "Error in rule align:"]);
    assert_eq!(said[1], step(5, 10, 50.0, "align"));
    assert_eq!((said[2]["type"].as_str(), ended), (Some("error.matched"), Vec::new()));
    let (said, ended) = read("preset = \"snakemake\"", &["10 of 10 steps (100%) done"]);
    assert_eq!((said, ended), (vec![progress(10, 10, 100.0)], completed("10 of 10 steps (100%) done")));
}

#[test]
fn nextflow_is_summed_over_its_processes() {
    let (said, _) = read(
        "preset = \"nextflow\"",
        &[
            "executor >  local (12)",
            "[8c/6f7b1a] process > FASTQC (sample 1) [ 50%] 5 of 10",
            "[11/2b3c4d] ALIGN (sample 1)            [  0%] 0 of 10",
            "[8c/6f7b1a] process > FASTQC (sample 1) [100%] 10 of 10 ✔",
        ],
    );
    assert_eq!(said, [step(5, 10, 50.0, "FASTQC"), step(5, 20, 25.0, "ALIGN"), step(10, 20, 50.0, "FASTQC")]);
    let failure = "Error executing process > 'FASTQC (1)'";
    assert_eq!(read("preset = \"nextflow\"", &[failure]).1, failed(failure));
}

#[test]
fn any_percentage_can_be_followed() {
    let percent =
        |line: &str| read("preset = \"percent\"", &[line]).0.first().map(|said| said["percent"].as_f64());
    assert_eq!(percent("Progress: 45%"), Some(Some(45.0)));
    assert_eq!(percent("45.5 % of it"), Some(Some(45.5)));
    assert_eq!(percent("Progress: 100%"), Some(Some(100.0)));
    assert_eq!(percent("load 350%"), None);
    assert_eq!(percent("%d items"), None);
}
