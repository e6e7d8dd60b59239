//! Java with Maven or Gradle.
//!
//! Invariant: a wrapper that is in the tree is used, else the program of the worker.

use autopack_domain::plan::{GateProfile, StepKind};

use super::gate::InferredGate;
use super::view::Folder;
use super::{Family, Manager, Signals, Toolchain};

const THRESHOLD: u32 = 50;

pub(super) fn detect(folder: &Folder<'_>) -> Option<Toolchain> {
    let mut signals = Signals::default();
    signals.file(folder, 70, &["pom.xml"]);
    let gradle = signals.file(
        folder,
        70,
        &[
            "build.gradle.kts",
            "build.gradle",
            "settings.gradle.kts",
            "settings.gradle",
        ],
    );
    signals.sources(folder, &["java", "kt", "groovy", "scala"]);
    // Gradle wins where both are present, as ever.
    let manager = if gradle {
        Manager::Gradle
    } else {
        Manager::Maven
    };
    signals.at_least(THRESHOLD, Family::Java, manager, folder)
}

pub(super) fn infer(
    manager: Manager,
    folder: &Folder<'_>,
    profile: GateProfile,
) -> Result<InferredGate, String> {
    // Modules have their tests below folders of their own.
    if !folder
        .paths()
        .iter()
        .any(|path| path.starts_with("src/test/") || path.contains("/src/test/"))
    {
        return Err("the Java project has no tests (`src/test/`)".to_owned());
    }
    let mut gate = if manager == Manager::Gradle {
        gradle(folder, profile)
    } else {
        maven(folder, profile)
    };
    gate.env_passthrough = vec![
        "JAVA_HOME",
        "JDK_HOME",
        "MAVEN_HOME",
        "GRADLE_HOME",
        "SDKMAN_DIR",
    ];
    Ok(gate)
}

fn maven(folder: &Folder<'_>, profile: GateProfile) -> InferredGate {
    let tool = if folder.has("mvnw") {
        "sh ./mvnw"
    } else {
        "mvn"
    };
    // With -q the summaries that are counted would not be printed.
    let mut gate = InferredGate::test(format!("{tool} -B test"));
    if profile == GateProfile::Strict {
        gate.step(format!("{tool} -B verify -DskipTests"), StepKind::Check);
    }
    gate.set_up(format!(
        "{tool} -B -DskipTests test-compile dependency:go-offline"
    ));
    gate.needs(if folder.has("mvnw") {
        &["java"]
    } else {
        &["mvn"]
    });
    let mut keys = folder.existing(&["pom.xml", ".mvn/wrapper/maven-wrapper.properties"]);
    keys.extend(
        folder
            .paths()
            .iter()
            .filter(|path| path.ends_with("/pom.xml"))
            .map(|path| (*path).to_owned()),
    );
    let env = [
        ("MAVEN_OPTS", "-Dmaven.repo.local={cache}/m2"),
        ("MAVEN_USER_HOME", "{cache}/maven"),
    ];
    gate.keep(keys, &env, &[]);
    gate
}

fn gradle(folder: &Folder<'_>, profile: GateProfile) -> InferredGate {
    let wrapper = folder.has("gradlew");
    let tool = if wrapper { "sh ./gradlew" } else { "gradle" };
    let task = if profile == GateProfile::Strict {
        "check"
    } else {
        "test"
    };
    let mut gate = InferredGate::test(format!("{tool} --no-daemon --console=plain {task}"));
    gate.set_up(format!("{tool} --no-daemon --console=plain testClasses"));
    gate.needs(if wrapper { &["java"] } else { &["gradle"] });
    let mut keys = folder.existing(&[
        "gradle.lockfile",
        "gradle.properties",
        "gradle/wrapper/gradle-wrapper.properties",
        "gradle/libs.versions.toml",
    ]);
    let scripts = folder
        .paths()
        .iter()
        .filter(|path| path.ends_with(".gradle") || path.ends_with(".gradle.kts"));
    keys.extend(scripts.map(|path| (*path).to_owned()));
    gate.keep(keys, &[("GRADLE_USER_HOME", "{cache}/gradle")], &[]);
    gate
}
