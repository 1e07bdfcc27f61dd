//! What the programs share: where to connect to, and the loop over the steps of README.md.

pub mod redis_rs;

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;
use std::{env, io};

pub type Drawn<T> = Result<T, Box<dyn Error + Send + Sync>>;

pub const PAUSE: Duration = Duration::from_secs(2);
/// The timeout of all drivers; README.md has the reason.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The steps of README.md; `draw_around_pause` is `idle`, `string_id` is `string`.
pub trait Driver {
    fn connect(&mut self) -> Drawn<()>;
    fn ping(&mut self) -> Drawn<String>;
    fn incr(&mut self) -> Drawn<i64>;
    fn pipeline(&mut self, count: usize) -> Drawn<Vec<i64>>;
    fn transaction(&mut self, count: usize) -> Drawn<Vec<i64>>;
    fn block(&mut self, count: i64) -> Drawn<i64>;
    fn string_id(&mut self) -> Drawn<String>;
    /// A hundred in turn in each of so many threads or tasks at the same time.
    fn pool(&mut self, size: usize) -> Drawn<Vec<i64>>;
    fn draw_around_pause(&mut self) -> Drawn<Vec<i64>>;
    fn close(&mut self) -> Drawn<()>;
}

/// The variable `REDIS_<name>`.
pub fn option(name: &str) -> Option<String> {
    env::var(format!("REDIS_{name}")).ok()
}

pub fn is_tls() -> bool {
    option("CA_FILE").is_some()
}

pub fn host() -> String {
    option("HOST").expect("REDIS_HOST is set")
}

pub fn port() -> u16 {
    option("PORT")
        .and_then(|port| port.parse().ok())
        .expect("REDIS_PORT is set")
}

/// Does the steps that come in until there are no more.
pub fn run(driver: &mut dyn Driver) {
    for step in io::stdin().lines() {
        let answered = answer(driver, &step.expect("standard input is text"));
        println!(
            "{}",
            answered.unwrap_or_else(|error| format!("error {error:?}: {error}").replace('\n', " "))
        );
    }
}

fn answer(driver: &mut dyn Driver, step: &str) -> Drawn<String> {
    let (step, count) = step.split_once(' ').unwrap_or((step, ""));
    let count = count.parse().ok();
    Ok(match step {
        "connect" => driver.connect().map(|()| ok(&[] as &[&str]))?,
        "ping" => ok(&[driver.ping()?]),
        "incr" => ok(&[driver.incr()?]),
        "pipeline" => ok(&driver.pipeline(count.unwrap_or(1_000))?),
        "transaction" => ok(&driver.transaction(count.unwrap_or(10))?),
        "block" => ok(&[driver.block(100)?]),
        "string" => ok(&[driver.string_id()?]),
        "pool" => ok(&driver.pool(10)?),
        "idle" => ok(&driver.draw_around_pause()?),
        "close" => driver.close().map(|()| ok(&[] as &[&str]))?,
        unknown => return Err(format!("unknown step {unknown}").into()),
    })
}

fn ok<T: Display>(values: &[T]) -> String {
    values
        .iter()
        .fold(String::from("ok"), |line, value| format!("{line} {value}"))
}
