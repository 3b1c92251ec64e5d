//! `cargo demo`: a whole release of a made-up product on this machine, with one of three registries refusing it.
//!
//! Everything a release talks to stands in this process; only `--builder engine` uses the real engine. The release
//! itself is the library's, called as `cargo xtask` calls it. Invariant: what the demo made is gone at its end.

mod engine;
mod product;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use fakes::github::{self, FakeGithub};
use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};
use hyper::Method;
use xtask::cli::BuilderChoice;
use xtask::exit::Exit;
use xtask::settings::Environment;

use product::Product;

/// A release of a made-up product to three registries, one of which refuses it; all of it on this machine.
#[derive(Parser)]
#[command(name = "cargo demo", bin_name = "cargo demo")]
struct Arguments {
    /// Who makes the image; `engine` needs one that answers: `xtask/tests/setup engine`
    #[arg(long, value_name = "BUILDER", default_value = "auto")]
    builder: BuilderChoice,
}

#[tokio::main]
async fn main() -> ExitCode {
    let builder = Arguments::parse().builder;
    let product = Product::new();
    let shown = show(&product, builder).await;
    let removed = match builder {
        BuilderChoice::Engine => engine::remove_images(&product.image).await,
        BuilderChoice::Auto | BuilderChoice::Layers => Ok(()),
    };
    match shown.and_then(|lesson| removed.map(|()| lesson)) {
        Ok(lesson) => {
            println!("\n{lesson}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns what there was to learn.
async fn show(product: &Product, builder: BuilderChoice) -> Result<String> {
    let feed = product.feed().await;
    let github = FakeGithub::start().await;
    let [one, two, three] = &[
        registry(Behavior::default()).await,
        registry(Behavior::default()).await,
        // As where the namespace is missing: signing in works, uploading is denied.
        registry(Behavior {
            denies_uploads: true,
            ..Behavior::default()
        })
        .await,
    ];
    println!(
        "On this machine, for as long as the demo runs:\n\
        \x20   {}  the packages of {} {}\n\
        \x20   {}  GitHub\n\
        \x20   http://{}  in place of Docker Hub\n\
        \x20   http://{}  in place of Azure ACR\n\
        \x20   http://{}  in place of Aliyun ACR: refuses every push",
        feed.url(""),
        product.image,
        Product::VERSION,
        github.api(),
        one.host,
        two.host,
        three.host,
    );
    let workspace = product.workspace()?;
    let docker_host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let made_by = match builder {
        BuilderChoice::Auto => Vec::new(),
        builder => vec!["--builder", builder.name()],
    };
    let mut variables = vec![
        ("RELEASE_VERSION".to_owned(), Product::VERSION.to_owned()),
        (
            "RELEASE_PACKAGE_INDEX_URL".to_owned(),
            feed.url("").to_string(),
        ),
        ("DOCKER_BASE_IMAGE".to_owned(), "scratch".to_owned()),
        ("SOURCE_DATE_EPOCH".to_owned(), "1767225600".to_owned()),
        ("GITHUB_API_URL".to_owned(), github.api().to_string()),
        (
            "GITHUB_REPOSITORY".to_owned(),
            github::REPOSITORY.to_owned(),
        ),
        ("GITHUB_TOKEN".to_owned(), github::TOKEN.to_owned()),
        ("DOCKER_HOST".to_owned(), docker_host),
    ];
    for (prefix, registry) in [("DOCKER", one), ("AZURE_ACR", two), ("ALIYUN_ACR", three)] {
        let values = [
            ("REGISTRY", &*registry.host),
            ("NAMESPACE", "demo"),
            ("USERNAME", USER),
            ("PASSWORD", PASSWORD),
        ];
        variables
            .extend(values.map(|(name, value)| (format!("{prefix}_{name}"), value.to_owned())));
    }

    let release = [&["release"], &made_by[..]].concat();
    expect(Exit::Partial, &release, &variables, workspace.path()).await?;
    println!("\nWhat the registries hold now:");
    for registry in [one, two, three] {
        println!("    http://{}", registry.host);
        let tags = registry.tags();
        if tags.is_empty() {
            println!("        nothing");
        }
        for (digest, references) in tags {
            println!("        {digest:.19}  {}", references.join(" "));
        }
    }
    if one.tags().is_empty() || one.tags() != two.tags() || !three.tags().is_empty() {
        bail!("the first two registries should hold the same, and the third nothing");
    }

    let writes = || one.count(Method::PUT, "") + two.count(Method::PUT, "");
    let before = writes();
    let again = [&["docker-push", "docker-push-azure"], &made_by[..]].concat();
    expect(Exit::Done, &again, &variables, workspace.path()).await?;
    match writes() - before {
        0 => println!("\nThe second run wrote nothing to either registry."),
        writes => bail!("the second run wrote {writes} times"),
    }
    let digest = one.tags().into_keys().next().unwrap_or_default();
    Ok(lesson(&digest, builder))
}

/// What a newcomer should know by now.
fn lesson(digest: &str, builder: BuilderChoice) -> String {
    let made = match builder {
        BuilderChoice::Engine => {
            "the container engine built the image of each platform, and this program"
        }
        BuilderChoice::Auto | BuilderChoice::Layers => {
            "without a container engine, this program made the image of two platforms and"
        }
    };
    format!(
        "What you have seen (all of it is removed again):
  - {made}
    put it into two registries under one digest, {digest:.19}, with the tags 1.2.3, 1.2, 1 and latest;
  - the third registry refused it and failed alone: the others and the GitHub release were completed;
  - that is exit code 3 (0 all done, 1 failed, 2 a setting is wrong), and its row says what to look at;
  - the same command again is how to go on: what is in place is not written a second time.
Next, with registries of your own; none of this changes anything, and README.md has the rest:
  cargo xtask release --release-version 1.2.3 --dry-run   every step, reference and tag; needs no network
  cargo xtask check                                       may the logins in .env push? (.env.example shows it)
  cargo xtask sync FILE --dry-run                         what registries lack of each other's images"
    )
}

/// A registry that asks for a login.
async fn registry(behavior: Behavior) -> FakeRegistry {
    FakeRegistry::start(Behavior {
        auth: AuthMode::Basic,
        ..behavior
    })
    .await
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
