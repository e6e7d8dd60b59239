#[path = "../src/bench/mod.rs"]
mod bench;
#[tokio::main]
async fn main() {
    let _ = autopack_sandbox::supervisor_main_if_requested();
    let d = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    std::fs::create_dir_all(&d).unwrap();
    let s = if std::env::args().nth(2).is_some() {
        bench::Sizes::FULL
    } else {
        bench::Sizes::QUICK
    };
    let r = bench::run(&d, s, |l| println!("{l}")).await;
    if let Err(e) = r {
        println!("ERR {e}");
    }
}
