//! Who makes the image is decided by the Dockerfile, and every dry run says who and why.

use crate::support::release_fixture::ReleaseFixture;
use crate::support::workspace::{Run, Workspace};

/// Nobody answers there.
const NO_ENGINE: &str = "unix:///nonexistent.sock";

fn workspace(dockerfile: &str) -> Workspace {
    let registry = [("dockerhub", "DOCKER", "docker.io", "team")];
    let workspace = Workspace::new(&["linux/amd64"], &registry)
        .with("RELEASE_VERSION", "1.2.3")
        .with("DOCKER_HOST", NO_ENGINE);
    workspace.write("docker/Dockerfile", dockerfile);
    workspace
}

/// Writes `builder` into the facts of the release.
fn set_builder(workspace: &Workspace, builder: &str) {
    let facts = workspace.read("Cargo.toml");
    let facts = facts.replace("base-image", &format!("builder = {builder}\nbase-image"));
    workspace.write("Cargo.toml", &facts);
}

async fn dry_run(workspace: &Workspace, options: &[&str]) -> Run {
    let dry_run = ["docker-build", "--dry-run"];
    workspace.run(&[&dry_run, options].concat()).await
}

const PLACES: &str = "FROM scratch\nCOPY entrypoint.sh /\n";
const RUNS: &str = "FROM scratch\nCOPY entrypoint.sh /\n\nRUN /entrypoint.sh\n";
/// The stage that runs something is needed by nothing.
const RUNS_IN_VAIN: &str = "FROM scratch AS test\nRUN /test\nFROM scratch\nCOPY entrypoint.sh /\n";

const LAYERS: &str = "    layer by layer, without an engine: nothing in `docker/Dockerfile` has to be run\n    \
                      linux/amd64 into output/image with ";
const ENGINE: &str =
    "    by the engine: `docker/Dockerfile`, line 4: `RUN` runs a program\n    linux/amd64 as ";

#[tokio::test(flavor = "multi_thread")]
async fn the_dockerfile_decides_and_the_dry_run_says_why() {
    for (dockerfile, options, said) in [
        (PLACES, &[][..], LAYERS),
        (PLACES, &["--builder", "auto"], LAYERS),
        (RUNS_IN_VAIN, &[], LAYERS),
        (RUNS, &[], ENGINE),
        (RUNS, &["--builder", "auto"], ENGINE),
        (
            "# syntax=docker/dockerfile:1\nFROM scratch\n",
            &[],
            "by the engine: `docker/Dockerfile`, line 1: `# syntax=`",
        ),
        (
            PLACES,
            &["--builder", "engine"],
            "by the engine: `--builder engine`\n",
        ),
        (
            PLACES,
            &["--builder", "layers"],
            "without an engine: `--builder layers`\n",
        ),
        // It must hold what it pushes.
        (
            PLACES,
            &["--via", "engine"],
            "by the engine: `--via engine`\n",
        ),
    ] {
        let run = dry_run(&workspace(dockerfile), options).await;
        run.expect(0, &[said]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pushes_depends_on_an_engine_only_for_a_single_image_that_comes_out_of_it() {
    const OR: &str = "or pushed by the engine, if it holds the layers compressed";
    let workspace = workspace(RUNS);
    for (options, depends) in [
        (&[][..], true),
        (&["--builder", "engine"], true),
        (&["--image", "docker:app"], true),
        (&["--image", "docker:app", "--via", "direct"], false),
        (&["--image", "docker:app", "--compression", "zstd"], false),
    ] {
        let push = ["docker-push-all", "--dry-run"];
        let run = workspace.run(&[&push, options].concat()).await;
        run.expect(0, &["read once and compressed once"]);
        assert_eq!(run.stdout.contains(OR), depends, "{options:?}");
    }
    let facts = workspace.read("Cargo.toml");
    let several = facts.replace("\"linux/amd64\"", "\"linux/amd64\", \"linux/arm64\"");
    workspace.write("Cargo.toml", &several);
    let run = workspace.run(&["docker-push-all", "--dry-run"]).await;
    run.expect(0, &["read once and compressed once", "linux/arm64"]);
    assert!(!run.stdout.contains(OR));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_setting_decides_unless_the_command_line_does() {
    let workspace = workspace(PLACES);
    set_builder(&workspace, "\"engine\"");
    let run = dry_run(&workspace, &[]).await;
    run.expect(
        0,
        &["by the engine: `builder = \"engine\"` in `Cargo.toml`\n"],
    );
    let run = dry_run(&workspace, &["--builder", "auto"]).await;
    run.expect(0, &[LAYERS]);
    let facts = workspace.read("Cargo.toml");
    workspace.write("Cargo.toml", &facts.replace("\"engine\"", "\"docker\""));
    let run = dry_run(&workspace, &[]).await;
    run.expect(
        2,
        &[
            "Cargo.toml`: ",
            "expected one of `auto`, `layers`, `engine`",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_not_made_by_whom_they_cannot() {
    let workspace = workspace(RUNS);
    let run = dry_run(&workspace, &["--builder", "layers"]).await;
    let line = "`docker/Dockerfile`, line 4: `RUN` runs a program";
    run.expect(2, &[line, "hint: `--builder engine`"]);
    let run = dry_run(&workspace, &["--builder", "layers", "--via", "engine"]).await;
    run.expect(
        2,
        &[
            "`--builder layers` leaves the engine no image",
            "hint: `--via direct`",
        ],
    );
    set_builder(&workspace, "\"layers\"");
    let run = dry_run(&workspace, &["--via", "engine"]).await;
    run.expect(
        2,
        &["`builder = \"layers\"` in `Cargo.toml` leaves the engine no image"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dockerfile_is_needed_only_where_an_image_is_made() {
    let workspace = workspace("FROM scratch\nCPOY a b\n");
    let wrong = "`docker/Dockerfile`, line 2: unknown instruction `CPOY`; hint: `COPY`?";
    let file = workspace.path().join("docker/Dockerfile");
    for missing in [false, true] {
        if missing {
            std::fs::remove_file(&file).unwrap();
        }
        let absent = format!("there is no `{}`", file.display());
        let said = if missing { &*absent } else { wrong };
        for target in ["docker-build", "docker-push", "release"] {
            workspace
                .run(&[target, "--dry-run"])
                .await
                .expect(2, &[said]);
        }
        let pushed = ["docker-push", "--skip", "docker-build", "--dry-run"];
        workspace.run(&pushed).await.expect(2, &[said]);
        for arguments in [
            &["release", "--plan", "text"][..],
            &["download", "--dry-run"],
            &["github-release", "--dry-run"],
            &["docker-push", "--image", "docker:given", "--dry-run"],
            &["docker-build", "--builder", "engine", "--dry-run"],
        ] {
            workspace.run(arguments).await.expect(0, &[]);
        }
        // It gets as far as the logins.
        workspace
            .run(&["check"])
            .await
            .expect(2, &["no registry has credentials"]);
    }
    assert!(!workspace.path().join("output").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_alone_needs_the_image_that_was_made() {
    let fixture = ReleaseFixture::new(1).await;
    let push = ["docker-push", "--skip", "docker-build"];
    let run = fixture.workspace.run(&push).await;
    run.expect(
        2,
        &[
            "there is no image in",
            "hint: run `cargo xtask docker-build`",
        ],
    );
    fixture
        .workspace
        .run(&["docker-build"])
        .await
        .expect(0, &[]);
    fixture
        .workspace
        .run(&push)
        .await
        .expect(0, &["docker-push: succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_is_asked_for_only_by_whom_it_is_needed() {
    let mut fixture = ReleaseFixture::new(3).await;
    fixture.workspace.set("DOCKER_HOST", NO_ENGINE);
    let run = fixture.workspace.run(&["release"]).await;
    run.expect(0, &["release 1.2.3: done"]);
    fixture.workspace.write("docker/Dockerfile", RUNS);
    let run = fixture.workspace.run(&["release"]).await;
    run.expect(
        2,
        &["the image is made by the engine (`docker/Dockerfile`, line 4: `RUN` runs a program; a Dockerfile without such lines needs no engine): no container engine answers at"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_the_dockerfile_are_found_by_a_dry_run() {
    let fixture = ReleaseFixture::new(1).await;
    for (lines, said) in [
        (
            "EXPOSE abc",
            "`docker/Dockerfile`, line 2: `abc` is not a port",
        ),
        (
            "COPY --from=9 a /",
            "line 2: `--from=9` is not an earlier stage",
        ),
        (
            "COPY entrypoint.sh nothere /",
            "`docker/Dockerfile`, line 2: the build context has no `nothere`",
        ),
        (
            "COPY lib-s390x/ /app/",
            "the build context is `docker/` and a `lib-<arch>/` for each platform",
        ),
    ] {
        let dockerfile = format!("FROM scratch\n{lines}\n");
        fixture.workspace.write("docker/Dockerfile", &dockerfile);
        let run = fixture.workspace.run(&["release", "--dry-run"]).await;
        run.expect(2, &[said]);
        fixture.workspace.run(&["release"]).await.expect(2, &[said]);
    }
    assert!(!fixture.workspace.path().join("output").exists());
    let dockerfile = "FROM scratch\nCOPY lib-amd64/ docker*.sh /app/\nENTRYPOINT [run]\n";
    fixture.workspace.write("docker/Dockerfile", dockerfile);
    let run = fixture.workspace.run(&["release", "--dry-run"]).await;
    run.expect(0, &["line 3: `ENTRYPOINT [` is no JSON list"]);
    let lines: String = (0..130)
        .map(|line| format!("COPY entrypoint.sh /{line}\n"))
        .collect();
    fixture
        .workspace
        .write("docker/Dockerfile", &format!("FROM scratch\n{lines}"));
    let run = fixture.workspace.run(&["docker-build"]).await;
    run.expect(
        2,
        &["the image would have 130 layers", "hint: fewer such lines"],
    );
}
