//! `cargo demo`: a whole release of a made-up product on this machine, with one of three registries refusing it.
//!
//! Everything a release talks to stands in this process, except the container engine, which is the real one. The
//! release itself is the library's, called as `cargo xtask` calls it. Invariant: what the demo made is gone at its end.

mod engine;
mod github;
mod packages;
mod product;
mod registry;
mod serve;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use xtask::exit::Exit;
use xtask::settings::Environment;

use product::Product;
use registry::{Manner, Registry};

#[tokio::main]
async fn main() -> ExitCode {
    let product = Product::new();
    let shown = show(&product).await;
    let removed = engine::remove_images(&product.image).await;
    match shown.and(removed) {
        Ok(()) => {
            println!("\nAs intended. The images and the workspace of the demo are removed.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn show(product: &Product) -> Result<()> {
    let packages = packages::serve(product).await?;
    let github = github::serve().await?;
    let registries = [
        Registry::serve("DOCKER", Manner::Takes).await?,
        Registry::serve("AZURE_ACR", Manner::Takes).await?,
        Registry::serve("ALIYUN_ACR", Manner::Refuses).await?,
    ];
    let [one, two, three] = &registries;
    println!(
        "On this machine, for as long as the demo runs:\n\
        \x20   {packages}  the packages of {} {}\n\
        \x20   {github}  GitHub\n\
        \x20   http://{}  in place of Docker Hub\n\
        \x20   http://{}  in place of Azure ACR\n\
        \x20   http://{}  in place of Aliyun ACR: refuses every push",
        product.image,
        Product::VERSION,
        one.host,
        two.host,
        three.host,
    );
    let workspace = product.workspace()?;
    let docker_host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let mut variables = vec![
        ("RELEASE_VERSION".to_owned(), Product::VERSION.to_owned()),
        ("RELEASE_PACKAGE_INDEX_URL".to_owned(), packages),
        ("DOCKER_BASE_IMAGE".to_owned(), "scratch".to_owned()),
        ("SOURCE_DATE_EPOCH".to_owned(), "1767225600".to_owned()),
        ("GITHUB_API_URL".to_owned(), github),
        (
            "GITHUB_REPOSITORY".to_owned(),
            github::REPOSITORY.to_owned(),
        ),
        ("GITHUB_TOKEN".to_owned(), github::TOKEN.to_owned()),
        ("DOCKER_HOST".to_owned(), docker_host),
    ];
    variables.extend(registries.iter().flat_map(Registry::variables));

    expect(Exit::Partial, &["release"], &variables, workspace.path()).await?;
    println!("\nWhat the registries hold now:");
    for registry in &registries {
        println!("    http://{}", registry.host);
        let held = registry.held().await?;
        if held.is_empty() {
            println!("        nothing");
        }
        for (digest, references) in held {
            println!("        {digest:.19}  {}", references.join(" "));
        }
    }
    let held = one.held().await?;
    if held.is_empty() || held != two.held().await? || !three.held().await?.is_empty() {
        bail!("the first two registries should hold the same, and the third nothing");
    }

    let before = one.writes() + two.writes();
    let again = ["docker-push", "docker-push-azure"];
    expect(Exit::Done, &again, &variables, workspace.path()).await?;
    match one.writes() + two.writes() - before {
        0 => println!("\nThe second run wrote nothing to either registry."),
        writes => bail!("the second run wrote {writes} times"),
    }
    Ok(())
}

/// Runs `cargo xtask` with `targets`, which is to end with `exit`.
async fn expect(
    exit: Exit,
    targets: &[&str],
    variables: &[(String, String)],
    workspace: &Path,
) -> Result<()> {
    println!("\n$ cargo xtask {}", targets.join(" "));
    let environment: Environment = variables.iter().cloned().collect();
    let arguments = ["cargo xtask"].iter().chain(targets).map(Into::into);
    let ended = xtask::run(arguments, environment, workspace).await;
    println!("exit code {}", ended as i32);
    if ended != exit {
        bail!("this should have ended with exit code {}", exit as i32);
    }
    Ok(())
}
