//! The target `download`: the packages of the version, from the index to disk, where later targets find them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use futures_util::future::try_join_all;
use indicatif::DecimalBytes;

use super::clients::http;
use super::plan::ReleasePlan;
use crate::exit::{bad_input, blame, sentence};
use crate::graph::{self, TargetResult};
use crate::oci::Platform;
use crate::packages::{self, Source};
use crate::settings::ReleaseSettings;

/// Downloads the packages of all platforms at once.
pub async fn download(
    settings: &ReleaseSettings,
    plan: &ReleasePlan,
    context: &graph::Context<'_>,
) -> Result<TargetResult> {
    let http = &http(settings.package_index.expose())?;
    let source = Source::new(settings.package_index.clone()).map_err(fault)?;
    let index = packages::fetch_index(http, &source).await.map_err(fault)?;
    let platforms: Vec<String> = plan.platforms.iter().map(ToString::to_string).collect();
    let packages = index
        .select(&source, &plan.version, &platforms)
        .map_err(fault)?;
    let total = packages.iter().map(|package| package.size).sum();
    let done: Vec<AtomicU64> = packages.iter().map(|_| AtomicU64::new(0)).collect();
    let downloads = packages.iter().zip(&done).map(|(package, own)| {
        let done = &done;
        async move {
            let progress = |bytes| {
                own.store(bytes, Ordering::Relaxed);
                context.progress(
                    done.iter().map(|done| done.load(Ordering::Relaxed)).sum(),
                    total,
                );
            };
            let fetched = packages::download(http, package, &plan.packages, &progress)
                .await
                .map_err(fault)?;
            context.note(&match fetched {
                0 => format!("{} is there already", package.name),
                bytes => format!("{} fetched, {}", package.name, DecimalBytes(bytes)),
            });
            Ok::<_, anyhow::Error>(fetched)
        }
    });
    let fetched: u64 = try_join_all(downloads).await?.into_iter().sum();
    let names: Vec<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    Ok(TargetResult::Done(match fetched {
        0 => format!("{} were there already", names.join(", ")),
        _ => format!("{}, {} fetched", names.join(", "), DecimalBytes(fetched)),
    }))
}

/// The error that no version is known, naming the newest one in the index.
pub async fn no_version(settings: &ReleaseSettings) -> anyhow::Error {
    let newest = async {
        let source = Source::new(settings.package_index.clone())?;
        let http = http(settings.package_index.expose())?;
        anyhow::Ok(
            packages::fetch_index(&http, &source)
                .await?
                .newest()
                .map(str::to_owned),
        )
    };
    let newest = match newest.await {
        Ok(Some(newest)) => format!("the newest in the package index is `{newest}`"),
        Ok(None) => "the package index is empty".to_owned(),
        Err(error) => sentence(&error),
    };
    bad_input(format!(
        "no version to release: neither `--release-version` nor `RELEASE_VERSION` is given, and no version tag is on HEAD\n\
         hint: {newest}"
    ))
}

/// The downloaded package of a platform.
pub fn package(plan: &ReleasePlan, platform: &Platform) -> Result<PathBuf> {
    packages::find(&plan.packages, &platform.to_string()).map_err(fault)
}

/// An error of the packages is bad input, unless this machine is at fault.
pub fn fault(error: packages::Error) -> anyhow::Error {
    blame(error.is_input(), error)
}
