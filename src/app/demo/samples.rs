//! The sample files, as they lie in `samples/`, built into the program.

/// Path below `samples/`, and content.
pub(super) const FILES: &[(&str, &str)] = &[
    ("claude/projects/-home-dev-shop/1af2ef25-5697-442d-9ae4-6b73b9c960dd.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/1af2ef25-5697-442d-9ae4-6b73b9c960dd.jsonl")),
    ("claude/projects/-home-dev-shop/22c47da3-7649-4abb-a51d-2c0d3d7a6b3e.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/22c47da3-7649-4abb-a51d-2c0d3d7a6b3e.jsonl")),
    ("claude/projects/-home-dev-shop/304602bf-835c-4341-8eba-998fdcb3659a.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/304602bf-835c-4341-8eba-998fdcb3659a.jsonl")),
    ("claude/projects/-home-dev-shop/304602bf-835c-4341-8eba-998fdcb3659a/subagents/agent-a41c9d2.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/304602bf-835c-4341-8eba-998fdcb3659a/subagents/agent-a41c9d2.jsonl")),
    ("claude/projects/-home-dev-shop/304602bf-835c-4341-8eba-998fdcb3659a/subagents/agent-a41c9d2.meta.json", include_str!("../../../samples/claude/projects/-home-dev-shop/304602bf-835c-4341-8eba-998fdcb3659a/subagents/agent-a41c9d2.meta.json")),
    ("claude/projects/-home-dev-shop/304602bf-835c-4341-8eba-998fdcb3659a/subagents/agent-a7f30be.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/304602bf-835c-4341-8eba-998fdcb3659a/subagents/agent-a7f30be.jsonl")),
    ("claude/projects/-home-dev-shop/304602bf-835c-4341-8eba-998fdcb3659a/subagents/agent-a7f30be.meta.json", include_str!("../../../samples/claude/projects/-home-dev-shop/304602bf-835c-4341-8eba-998fdcb3659a/subagents/agent-a7f30be.meta.json")),
    ("claude/projects/-home-dev-shop/34a0bcc5-8ff1-4a06-9a5d-8d6cc7e17675.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/34a0bcc5-8ff1-4a06-9a5d-8d6cc7e17675.jsonl")),
    ("claude/projects/-home-dev-shop/3a800085-4faa-46e4-bb45-57aa0911528f.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/3a800085-4faa-46e4-bb45-57aa0911528f.jsonl")),
    ("claude/projects/-home-dev-shop/62f746b4-84e6-4ceb-95bd-447e7184d454.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/62f746b4-84e6-4ceb-95bd-447e7184d454.jsonl")),
    ("claude/projects/-home-dev-shop/67002862-dfae-47ea-9f40-9406fa72cef7.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/67002862-dfae-47ea-9f40-9406fa72cef7.jsonl")),
    ("claude/projects/-home-dev-shop/8428d96d-6714-4ed8-b5ab-16dd1ea0c3c9.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/8428d96d-6714-4ed8-b5ab-16dd1ea0c3c9.jsonl")),
    ("claude/projects/-home-dev-shop/9ed817ac-9282-4e13-bae8-c2bfac8548df.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/9ed817ac-9282-4e13-bae8-c2bfac8548df.jsonl")),
    ("claude/projects/-home-dev-shop/ab89cba7-8d45-493a-ba16-cc6e2ad4542e.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/ab89cba7-8d45-493a-ba16-cc6e2ad4542e.jsonl")),
    ("claude/projects/-home-dev-shop/f9e30475-7890-458b-a1a4-d214f6212831.jsonl", include_str!("../../../samples/claude/projects/-home-dev-shop/f9e30475-7890-458b-a1a4-d214f6212831.jsonl")),
    ("worktrees/checkout-redesign/status.json", include_str!("../../../samples/worktrees/checkout-redesign/status.json")),
    ("worktrees/currency-rounding/status.json", include_str!("../../../samples/worktrees/currency-rounding/status.json")),
    ("worktrees/search-index/status.json", include_str!("../../../samples/worktrees/search-index/status.json")),
];
