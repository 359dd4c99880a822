use super::*;

fn image(text: &str) -> RegistryReference {
    crate::reference::registry(text).unwrap()
}

fn look(file: &str, name: &str) -> Option<Credentials> {
    look_up(
        &parse(file.as_bytes()).unwrap(),
        &image(name),
        &mut Vec::new(),
    )
}

fn password(user: &str, password: &str) -> Option<Credentials> {
    Some(Credentials::Password {
        user: user.into(),
        password: password.into(),
    })
}

// printf 'me:pass:word' | base64
const ME: &str = "bWU6cGFzczp3b3Jk";

#[test]
fn the_most_specific_key_wins() {
    let file = format!(
        r#"{{"auths":{{"r.example":{{"auth":"{ME}"}},"r.example/team":{{"username":"t","password":"p"}},"r.example/team/app":{{"identitytoken":"id"}}}}}}"#
    );
    assert_eq!(look(&file, "r.example/other"), password("me", "pass:word"));
    assert_eq!(look(&file, "r.example/team/x"), password("t", "p"));
    assert_eq!(
        look(&file, "r.example/team/app"),
        Some(Credentials::Identity("id".into()))
    );
    assert_eq!(look(&file, "s.example/app"), None);
}

#[test]
fn docker_hub_is_known_under_its_old_names() {
    for key in [
        "https://index.docker.io/v1/",
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "http://index.docker.io/v1/access-token",
    ] {
        assert_eq!(
            look(
                &format!(r#"{{"auths":{{"{key}":{{"auth":"{ME}"}}}}}}"#),
                "busybox"
            ),
            password("me", "pass:word"),
            "{key}"
        );
    }
}

#[test]
fn keys_of_other_hosts_do_not_match() {
    let file = format!(
        r#"{{"auths":{{"https://r.example.evil/v1/":{{"auth":"{ME}"}},"example":{{"auth":"{ME}"}},"r.example:443":{{"auth":"{ME}"}}}}}}"#
    );
    assert_eq!(look(&file, "r.example/app"), None);
}

#[test]
fn empty_and_broken_entries_are_passed_over() {
    assert_eq!(look(r#"{"auths":{"r.example":{}}}"#, "r.example/app"), None);
    let mut problems = Vec::new();
    let file = parse(br#"{"auths":{"r.example":{"auth":"!!"}}}"#).unwrap();
    assert_eq!(look_up(&file, &image("r.example/app"), &mut problems), None);
    assert_eq!(problems, ["entry r.example: auth is not base64"]);
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let shown = format!(
        "{:?} {:?}",
        password("me", "hunter2"),
        Credentials::Identity("hunter2".into())
    );
    assert!(!shown.contains("hunter2"));
}

#[test]
fn podman_s_files_come_before_docker_s() {
    let dir = tempfile::tempdir().unwrap();
    let (runtime, home) = (dir.path().join("run"), dir.path().join("home"));
    fs::create_dir_all(runtime.join("containers")).unwrap();
    fs::create_dir_all(home.join(".docker")).unwrap();
    let environment = |name: &str| match name {
        "XDG_RUNTIME_DIR" => Some(runtime.clone().into_os_string()),
        "HOME" => Some(home.clone().into_os_string()),
        _ => None,
    };
    let search = |name: &str| find_in(None, &image(name), &environment).unwrap();
    let entry = |user: &str| {
        format!(r#"{{"auths":{{"{user}.example":{{"username":"{user}","password":"p"}}}}}}"#)
    };
    assert_eq!(search("d.example/a").credentials, None);
    fs::write(home.join(".docker/config.json"), entry("d")).unwrap();
    assert_eq!(search("d.example/a").credentials, password("d", "p"));
    fs::write(runtime.join("containers/auth.json"), entry("p")).unwrap();
    assert_eq!(search("p.example/a").credentials, password("p", "p"));
    assert_eq!(search("d.example/a").credentials, password("d", "p"));
    fs::write(runtime.join("containers/auth.json"), "no json").unwrap();
    assert_eq!(search("p.example/a").problems.len(), 1);
}

#[test]
fn a_named_file_must_exist_and_is_the_only_one() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.json");
    let error = find_in(Some(&missing), &image("r.example/a"), &|_| None).unwrap_err();
    assert_eq!(error.kind(), ImageErrorKind::NotFound);
    fs::write(&missing, "\"auths\"").unwrap();
    let from_environment =
        |name: &str| (name == "REGISTRY_AUTH_FILE").then(|| missing.clone().into_os_string());
    assert_eq!(
        find_in(None, &image("r.example/a"), &from_environment)
            .unwrap_err()
            .kind(),
        ImageErrorKind::Io
    );
}

#[cfg(unix)]
mod helpers {
    use std::{
        os::unix::fs::PermissionsExt as _,
        sync::{Mutex, MutexGuard, PoisonError},
        time::{Duration, Instant},
    };

    use super::*;

    /// One test at a time: a process started while another test still writes its script inherits
    /// the open file, and the system runs no script that is open for writing.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(program: &str) -> Result<Option<Credentials>, String> {
        super::super::helper::run(program, "r.example", Duration::from_secs(30))
    }

    fn helper(dir: &Path, script: &str) -> String {
        let file = dir.join("docker-credential-test");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_helper_is_told_the_server_and_asked_to_get() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let program = helper(
            dir.path(),
            r#"read -r server || true; [ "$1" = get ] || exit 1; echo "{\"ServerURL\":\"$server\",\"Username\":\"u\",\"Secret\":\"for $server\"}""#,
        );
        assert_eq!(ask(&program), Ok(password("u", "for r.example")));
    }

    #[test]
    fn a_helper_may_give_an_identity_token() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let program = helper(
            dir.path(),
            r#"echo '{"Username":"<token>","Secret":"refresh"}'"#,
        );
        assert_eq!(
            ask(&program),
            Ok(Some(Credentials::Identity("refresh".into())))
        );
    }

    #[test]
    fn no_credentials_is_no_failure_but_anything_else_is() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let program = helper(
            dir.path(),
            "echo 'credentials not found in native keychain'; exit 1",
        );
        assert_eq!(ask(&program), Ok(None));
        let program = helper(dir.path(), "printf 'locked\\033[31m' >&2; exit 3");
        let problem = ask(&program).unwrap_err();
        assert!(problem.contains("locked\\u{1b}[31m"), "{problem}");
        assert!(ask(&dir.path().join("none").display().to_string()).is_err());
    }

    #[test]
    fn a_helper_that_does_not_end_is_not_waited_for() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let patience = Duration::from_millis(300);
        // The second leaves a program behind that holds its output open.
        for script in ["exec sleep 60", "sleep 20 & exit 0"] {
            let program = helper(dir.path(), script);
            let started = Instant::now();
            let asked = super::super::helper::run(&program, "r.example", patience);
            assert_eq!(asked, Err("gave no answer within 0.3 s".into()), "{script}");
            assert!(started.elapsed() < Duration::from_secs(15), "{script}");
        }
    }

    #[test]
    fn a_long_answer_does_not_stop_a_helper() {
        let _alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let script = "head -c 300000 /dev/zero | tr '\\0' x >&2; echo '{\"Username\":\"u\",\"Secret\":\"s\"}'";
        let program = helper(dir.path(), script);
        assert_eq!(ask(&program), Ok(password("u", "s")));
    }
}

#[test]
fn a_helper_s_name_cannot_leave_the_search_path() {
    let mut problems = Vec::new();
    assert_eq!(ask_helper("../../tmp/x", "r.example", &mut problems), None);
    assert_eq!(problems.len(), 1);
}
