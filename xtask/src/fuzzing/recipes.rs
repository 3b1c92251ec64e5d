//! Dockerfiles and `.dockerignore`.

use std::fs;

use crate::image::context::Context;
use crate::image::layers::{
    Action, Base, BaseConfig, BuildArgs, Dockerfile, DockerfileError, Origin, Recipe,
};
use crate::oci::Platform;

/// What a Dockerfile evaluates to is bounded, names earlier stages only and nothing outside of a root; how lines end
/// changes nothing.
pub(super) fn dockerfile(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let recipe = recipe(&text);
    match &recipe {
        Ok(recipe) => is_sound(recipe, text.split('\n').count()),
        Err(error) => super::is_one_line(&error.to_string()),
    }
    if !text.contains('\r') {
        assert_eq!(self::recipe(&text.replace('\n', "\r\n")), recipe);
    }
}

fn recipe(text: &str) -> Result<Recipe, DockerfileError> {
    let file = Dockerfile::parse("Dockerfile", text)?;
    let platform = Platform {
        os: "linux".to_owned(),
        architecture: "arm64".to_owned(),
        ..Platform::default()
    };
    let arguments = BuildArgs::from([("VERSION".to_owned(), "1.2.3".to_owned())]);
    let config = |_: &_, _: &_| BaseConfig {
        env: vec!["BASE=of the base".to_owned()],
        working_dir: "/base".to_owned(),
        shell: Vec::new(),
    };
    let bases = file.bases(&platform, &arguments);
    let recipe = file.recipe(&platform, &arguments, &config);
    assert!(
        bases.is_ok() || recipe.is_err(),
        "a recipe of unknown bases"
    );
    let without = file.recipe_without_bases(&platform, &arguments);
    assert!(
        without.is_ok() || recipe.is_err(),
        "refused whatever the bases hand on, and then not"
    );
    recipe
}

fn is_sound(recipe: &Recipe, lines: usize) {
    let mut length = 0;
    for (position, stage) in recipe.stages.iter().enumerate() {
        if let Base::Stage(earlier) = stage.base {
            assert!(earlier < position);
        }
        for step in &stage.steps {
            length += step.text.len();
            assert!((1..=lines).contains(&step.line), "line {}", step.line);
            let Action::Copy(copy) = &step.action else {
                continue;
            };
            if let Origin::Stage(earlier) = copy.from {
                assert!(earlier < position);
            }
            assert!(
                copy.destination.starts_with('/') && !climbs(&copy.destination),
                "{copy:?}"
            );
            for source in &copy.sources {
                assert!(!source.starts_with('/') && !climbs(source), "{copy:?}");
            }
            assert!(copy.mode.unwrap_or_default() <= 0o7777, "{copy:?}");
        }
    }
    assert!(length <= 4 << 20, "{length} bytes of history");
}

fn climbs(path: &str) -> bool {
    path.split('/').any(|name| name == "..")
}

/// What is in the context is not excluded, and without an exception nothing below what is excluded comes back.
pub(super) fn dockerignore(data: &[u8]) {
    let Ok(root) = tempfile::tempdir() else {
        return;
    };
    let files =
        ["a/b/c.txt", "docs/README.md", "lib/x.dll", "a-b.c"].map(|it| root.path().join(it));
    let made = files.iter().try_for_each(|path| {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        fs::write(path, "")
    });
    let written = made.and_then(|()| fs::write(root.path().join(".dockerignore"), data));
    assert!(written.is_ok(), "the temporary folder cannot be written");
    let context = match Context::read(root.path(), "Dockerfile") {
        Ok(context) => context,
        Err(error) => return super::is_one_line(&error.to_string()),
    };
    for entry in context
        .entries
        .iter()
        .filter(|entry| entry.source.is_file())
    {
        assert!(!context.excludes(&entry.name), "{}", entry.name);
    }
    let text = String::from_utf8_lossy(data);
    let has_exception = text
        .lines()
        .any(|line| line.trim_start_matches('\u{feff}').trim().starts_with('!'));
    // The rules themselves look most like paths that they are about.
    let lines = text.lines().map(|line| line.trim().trim_matches('/'));
    for path in lines
        .filter(|path| !path.is_empty() && path.len() < 200)
        .take(20)
    {
        let below = context.excludes(&format!("{path}/below"));
        assert!(has_exception || below || !context.excludes(path), "{path}");
    }
}
