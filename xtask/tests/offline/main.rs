//! The tests that need nothing but Rust: every server is a fake of this process.

mod anywhere;
mod bad_base;
mod bad_input;
mod builder;
// Elsewhere the system itself judges, which always has some.
#[cfg(target_os = "linux")]
mod certificates;
mod copy_again;
mod copy_limits;
mod copy_local;
mod copy_local_bad;
mod copy_one_read;
mod copy_outage;
mod copy_pending;
mod copy_policy;
mod copy_referrers;
mod copy_retries;
mod copy_shapes;
mod credential_helpers;
mod credentials;
mod deploy;
mod ends;
mod extract;
mod fault_proxy;
mod fuzz;
mod github;
mod kill;
mod machine;
mod packages;
mod promote;
mod proxies;
mod registry_auth;
mod registry_blobs;
mod registry_faults;
mod registry_proofs;
mod release;
mod release_again;
mod release_bases;
mod release_client;
mod release_said;
mod release_silent;
mod release_tags;
mod report;
mod report_files;
mod reproducible;
mod settings;
mod shards;
mod shown;
mod snapshots;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each of the two test binaries uses a part")]
mod support;
mod sync_copy;
mod sync_failures;
mod sync_formats;
mod sync_image_syncer;
mod sync_input;
mod sync_missing;
mod sync_newer;
mod sync_options;
mod sync_output;
mod sync_reads;
mod sync_templates;
mod tidy;
mod trust;
mod workflows;
