//! What the settings make of environments and workspaces, and what they say about bad ones.

use super::*;
use crate::credentials::Credentials;
use crate::secret::Secret;

const FACTS: &str = r#"
[workspace.metadata.release]
image = "app"
platforms = ["linux/amd64"]
base-image = "scratch"
package-index = "https://packages.example/"
github-repository = "owner/app"

[workspace.metadata.release.registries.dockerhub]
prefix = "DOCKER"
registry = "docker.io"
namespace = "someone"

[workspace.metadata.release.registries.harbor]
prefix = "HARBOR"
registry = "harbor.example"
"#;

fn settings(facts: &str, variables: &[(&str, &str)]) -> (tempfile::TempDir, Settings) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("Cargo.toml"), facts).unwrap();
    let environment = variables.iter().copied().collect();
    let settings = Settings::load(environment, directory.path()).unwrap();
    (directory, settings)
}

fn load_facts(facts: &str, variables: &[(&str, &str)]) -> Result<ReleaseSettings> {
    let (_directory, settings) = settings(facts, variables);
    settings.release(None)
}

fn load(variables: &[(&str, &str)]) -> Result<ReleaseSettings> {
    load_facts(FACTS, variables)
}

fn sentence<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(crate::exit::code(&error), crate::exit::Exit::Usage);
    error.to_string()
}

#[test]
fn each_registry_table_gives_a_push_target() {
    let settings = load(&[("HARBOR_NAMESPACE", "team")]).unwrap();
    let targets: Vec<_> = settings
        .registries
        .iter()
        .map(|r| (r.target.as_str(), r.repository.to_string()))
        .collect();
    let expected = [
        ("docker-push", "docker.io/someone/app".to_owned()),
        ("docker-push-harbor", "harbor.example/team/app".to_owned()),
    ];
    assert_eq!(targets, expected);
}

#[test]
fn the_environment_overrides_the_facts_and_empty_means_unset() {
    let settings = load(&[
        ("DOCKER_REGISTRY", "127.0.0.1:5000"),
        ("DOCKER_NAMESPACE", ""),
    ])
    .unwrap();
    assert_eq!(
        settings.registries[0].repository.to_string(),
        "127.0.0.1:5000/someone/app"
    );
}

#[test]
fn the_environment_wins_over_dotenv() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("Cargo.toml"), FACTS).unwrap();
    std::fs::write(
        directory.path().join(".env"),
        "DOCKER_USERNAME=file\nDOCKER_PASSWORD='a b$c'\n",
    )
    .unwrap();
    let environment = [("DOCKER_USERNAME", "real")].into_iter().collect();
    let settings = Settings::load(environment, directory.path()).unwrap();
    let login = settings.registries().unwrap()[0].variables.login();
    let credentials = Credentials::Basic {
        username: "real".to_owned(),
        password: Secret::new("a b$c".to_owned()),
    };
    assert_eq!(login.unwrap().unwrap().credentials, credentials);
}

#[test]
fn a_bad_line_of_dotenv_is_named_but_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("Cargo.toml"), FACTS).unwrap();
    std::fs::write(
        directory.path().join(".env"),
        "A=1\nDOCKER_PASSWORD=geheim und mehr\n",
    )
    .unwrap();
    let message = sentence(Settings::load(
        Environment::from_iter([("A", "1")]),
        directory.path(),
    ));
    assert!(
        message.contains("line 2") && message.contains("single quotes"),
        "{message}"
    );
    assert!(!message.contains("geheim"), "{message}");
}

#[test]
fn dotenv_puts_no_variable_into_a_password() {
    let path = tempfile::NamedTempFile::new().unwrap();
    let read = |text: &str| {
        std::fs::write(path.path(), text).unwrap();
        Environment::from_iter([("A", "1")]).with_dotenv(path.path())
    };
    for text in ["A=1\nPASSWORD=geheim$A\n", "A=1\nPASSWORD=\"geheim$A\""] {
        let message = read(text).unwrap_err().to_string();
        assert!(
            message.contains("line 2") && !message.contains("geheim"),
            "{message}"
        );
    }
    let read = read("\u{feff}# $A\r\nUSERNAME='robot$A'\r\n").unwrap();
    assert_eq!(read.get("USERNAME"), Some("robot$A"));
}

#[test]
fn half_a_login_is_known_as_such() {
    let settings = load(&[("HARBOR_USERNAME", "robot$ci")]).unwrap();
    let half = settings.registries[1].variables.login().unwrap_err();
    let sentence = "`HARBOR_USERNAME` is set and `HARBOR_PASSWORD` is not";
    assert_eq!(half.to_string(), sentence);
}

#[test]
fn a_leading_v_is_dropped_and_the_pushed_tag_is_kept() {
    let release = load(&[("GITHUB_REF", "refs/tags/v1.2.3-beta.1")])
        .unwrap()
        .release
        .unwrap();
    assert_eq!(
        (release.version.to_string().as_str(), release.tag.as_str()),
        ("1.2.3-beta.1", "v1.2.3-beta.1")
    );
    let release = load(&[
        ("RELEASE_VERSION", "v2.0.0"),
        ("GITHUB_REF", "refs/tags/v1.0.0"),
    ])
    .unwrap()
    .release
    .unwrap();
    assert_eq!(
        (release.version.to_string().as_str(), release.tag.as_str()),
        ("2.0.0", "v2.0.0")
    );
}

#[test]
fn every_problem_is_told_at_once() {
    let message = sentence(load(&[
        ("RELEASE_VERSION", "1.2"),
        ("HARBOR_NAMESPACE", "Bad Name"),
        ("GITHUB_REPOSITORY", "nobody"),
        ("AZURE_BLOB_SAS_URL", "sv=2024&sig=geheim"),
    ]));
    for part in ["`1.2`", "HARBOR_NAMESPACE", "nobody", "AZURE_BLOB_SAS_URL"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    assert!(!message.contains("geheim"), "{message}");
}

#[test]
fn build_metadata_is_no_version() {
    assert!(sentence(load(&[("RELEASE_VERSION", "1.2.3+5")])).contains("build metadata"));
}

#[test]
fn an_unknown_key_is_shown_with_its_line() {
    let message = sentence(load_facts(&FACTS.replace("image =", "imgae ="), &[]));
    assert!(
        message.contains("line 3") && message.contains("imgae"),
        "{message}"
    );
}

#[test]
fn require_must_name_registries_that_exist() {
    let facts = FACTS.replace(
        "github-repository",
        "require = [\"dockerhub\", \"azure\"]\ngithub-repository",
    );
    let message = sentence(load_facts(&facts, &[]));
    assert!(
        message.contains("`azure`") && message.contains("dockerhub, harbor"),
        "{message}"
    );
    let word = |word: &str| {
        let require = format!("require = \"{word}\"\ngithub-repository");
        load_facts(&FACTS.replace("github-repository", &require), &[])
    };
    assert_eq!(word("all").unwrap().require, Require::All);
    let message = sentence(word("most"));
    assert!(
        message.contains("expected \"any\", \"all\" or a list"),
        "{message}"
    );
}

#[test]
fn no_workspace_is_a_clear_error_where_a_release_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::load(Environment::from_iter([("A", "1")]), directory.path()).unwrap();
    let problems = [
        sentence(settings.release(None)),
        sentence(settings.registries()),
    ];
    for problem in problems {
        assert!(problem.contains("workspace.metadata.release"), "{problem}");
    }
    assert!(settings.resolver().1.is_empty());
}

#[test]
fn without_a_workspace_dotenv_is_read_where_the_program_was_started() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(".env"), "REGISTRY=quay.io\n").unwrap();
    let settings = Settings::load(Environment::from_iter([("A", "1")]), directory.path()).unwrap();
    assert_eq!(settings.environment.get("REGISTRY"), Some("quay.io"));
}

#[test]
fn who_needs_registries_alone_hears_of_them_alone() {
    let facts = FACTS.replace("platforms =", "nonsense =");
    let bad = [
        ("GITHUB_REF", "refs/tags/nightly"),
        ("SOURCE_DATE_EPOCH", "x"),
    ];
    let (_directory, good) = settings(&facts, &bad);
    assert_eq!(good.registries().unwrap().len(), 2);

    let bad = [
        ("HARBOR_NAMESPACE", "Bad Name"),
        ("DOCKER_REGISTRY", "a host"),
    ];
    let (_directory, bad) = settings(&facts, &bad);
    let problem = sentence(bad.registries());
    for name in ["HARBOR_NAMESPACE", "DOCKER_REGISTRY"] {
        assert!(problem.contains(name), "{problem}");
    }
    // Who only reads hears of it, too.
    let problem = bad.resolver().1.join("\n");
    for name in ["HARBOR_NAMESPACE", "DOCKER_REGISTRY"] {
        assert!(problem.contains(name), "{problem}");
    }
}

#[test]
fn secrets_are_masked_by_the_names_of_their_variables() {
    let environment: Environment = [
        ("DOCKER_USERNAME", "someone"),
        ("DOCKER_PASSWORD", "p>>>p~~~?$"),
        (
            "RELEASE_PACKAGE_INDEX_URL",
            "https://x.example/c?sv=1&sig=abc%3D",
        ),
    ]
    .into_iter()
    .collect();
    let text = "p>>>p~~~?$ and sig=abc%3D and c29tZW9uZTpwPj4+cH5+fj8k by someone";
    assert_eq!(
        environment.redactor().redact(text),
        "*** and sig=*** and *** by someone"
    );
}

#[test]
fn a_password_that_looks_like_a_url_is_masked_too() {
    let environment = Environment::from_iter([("DOCKER_PASSWORD", "a:geheim")]);
    assert_eq!(environment.redactor().redact("it is a:geheim"), "it is ***");
}

#[test]
fn a_host_that_an_engine_would_look_for_on_docker_hub_is_refused() {
    let message = sentence(load(&[("HARBOR_REGISTRY", "harbor")]));
    assert!(message.contains("write `harbor:443`"), "{message}");
    for host in ["harbor:443", "localhost", "[::1]:5000", "Harbor.Example"] {
        load(&[("HARBOR_REGISTRY", host)]).unwrap();
    }
}

#[test]
fn platforms_that_share_a_directory_are_refused() {
    for (platforms, directory) in [
        ("linux/arm/v6\", \"linux/arm/v7", "`lib-arm`"),
        ("linux/amd64\", \"linux/amd64", "`lib-amd64`"),
    ] {
        let message = sentence(load_facts(&FACTS.replace("linux/amd64", platforms), &[]));
        assert!(message.contains(directory), "{message}");
    }
}

#[test]
fn a_date_that_cannot_be_written_is_refused() {
    for seconds in ["253402300800", "18446744073709551615", "-1", "yesterday"] {
        let message = sentence(load(&[("SOURCE_DATE_EPOCH", seconds)]));
        assert!(message.contains("SOURCE_DATE_EPOCH"), "{message}");
    }
    let last = load(&[("SOURCE_DATE_EPOCH", "253402300799")]).unwrap();
    assert_eq!(last.timestamp, 253_402_300_799);
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The rows of the README's table of variables: names and meanings.
fn documented(readme: &str) -> Vec<(&str, &str)> {
    let (_, rest) = readme.split_once("| `RELEASE_VERSION` |").unwrap();
    let (table, _) = rest.split_once("\n\n").unwrap();
    let rows = table.lines().map(|row| {
        let row = row.trim_start_matches("| `").trim_end_matches(" |");
        row.split_once("` | ")
            .unwrap_or(("RELEASE_VERSION", row.trim_start()))
    });
    rows.collect()
}

#[test]
fn the_example_file_lists_every_variable_with_its_meaning() {
    let (example, readme) = (file(".env.example"), file("README.md"));
    let (_, entries) = example.split_once("\n\n").unwrap();
    let entries: Vec<(&str, &str)> = entries
        .split("\n\n")
        .map(|entry| {
            let (about, name) = entry.strip_prefix("# ").unwrap().split_once('\n').unwrap();
            let name = name.trim_end().strip_suffix('=').unwrap();
            let is_secret = name.ends_with("_PASSWORD")
                || name.ends_with("_TOKEN")
                || name.ends_with("_SAS_URL");
            assert_eq!(about.ends_with(" (secret)"), is_secret, "{name}");
            let about = about.trim_end_matches(" (secret)");
            (name, about.split("; for example `").next().unwrap())
        })
        .collect();
    let mut settable = documented(&readme);
    settable.retain(|(_, about)| !about.starts_with("set in GitHub Actions"));
    assert_eq!(entries, settable);
}

#[test]
fn the_readme_lists_every_variable_that_is_read() {
    let readme = file("README.md");
    let documented = documented(&readme);
    let mut found = 0;
    for source in [
        "settings/engine.rs",
        "settings/mod.rs",
        "settings/release.rs",
        "settings/registries.rs",
        "settings/version.rs",
        "sync/default_registry.rs",
    ] {
        let code = file(&format!("xtask/src/{source}"));
        let code = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for literal in code.flat_map(|line| line.split('"').skip(1).step_by(2)) {
            let is_name = literal.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            // The others are no settings of this program.
            if !is_name
                || matches!(
                    literal,
                    "" | "CARGO_MANIFEST_DIR"
                        | "CARGO_PKG_NAME"
                        | "HEAD"
                        | "HOME"
                        | "XDG_RUNTIME_DIR"
                )
            {
                continue;
            }
            found += 1;
            let (suffix, older) = (format!("_{literal}"), format!("`{literal}`"));
            assert!(
                documented.iter().any(|(name, about)| *name == literal
                    || name.ends_with(&suffix)
                    || about.contains(&older)),
                "README.md lacks `{literal}`, which {source} reads"
            );
        }
    }
    assert!(found > 20, "the variables were not found");
}
