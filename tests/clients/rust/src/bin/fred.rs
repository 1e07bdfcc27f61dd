//! fred.

use fred::clients::{Client, Pool};
use fred::interfaces::{ClientLike, KeysInterface, TransactionInterface};
use fred::types::config::{Config, ReconnectPolicy, ServerConfig, TlsConnector};
use fred::types::{Builder, ClusterHash, CustomCommand, RespVersion};
use respid_drivers::{Drawn, Driver, PATIENCE, PAUSE, host, is_tls, option, port, run};
use tokio::runtime::Runtime;

struct Fred {
    runtime: Runtime,
    client: Option<Client>,
}

impl Fred {
    fn client(&self) -> Drawn<Client> {
        self.client.clone().ok_or_else(|| "not connected".into())
    }
}

/// With a reconnect policy: without one a fred client never connects again, and its commands wait for ever.
fn builder() -> Drawn<Builder> {
    let mut config = Config {
        server: ServerConfig::new_centralized(host(), port()),
        username: option("USERNAME"),
        password: option("PASSWORD"),
        ..Config::default()
    };
    if let Some(protocol) = option("PROTOCOL") {
        config.version = if protocol == "2" {
            RespVersion::RESP2
        } else {
            RespVersion::RESP3
        };
    }
    if is_tls() {
        config.tls = Some(TlsConnector::default_rustls()?.into());
    }
    let mut builder = Builder::from_config(config);
    builder.set_policy(ReconnectPolicy::new_exponential(0, 100, 1_000, 2));
    builder.with_connection_config(|config| {
        config.connection_timeout = PATIENCE;
        config.internal_command_timeout = PATIENCE;
    });
    Ok(builder)
}

async fn draw_hundred(pool: Pool, member: usize) -> Drawn<Vec<i64>> {
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.push(pool.clients()[member].incr("orders").await?);
    }
    Ok(ids)
}

impl Driver for Fred {
    fn connect(&mut self) -> Drawn<()> {
        let client = builder()?.build()?;
        self.runtime.block_on(client.init())?;
        self.client = Some(client);
        Ok(())
    }

    fn ping(&mut self) -> Drawn<String> {
        Ok(self.runtime.block_on(self.client()?.ping(None))?)
    }

    fn incr(&mut self) -> Drawn<i64> {
        Ok(self.runtime.block_on(self.client()?.incr("orders"))?)
    }

    fn pipeline(&mut self, count: usize) -> Drawn<Vec<i64>> {
        let pipeline = self.client()?.pipeline();
        self.runtime.block_on(async {
            for _ in 0..count {
                let () = pipeline.incr("orders").await?;
            }
            Ok(pipeline.all().await?)
        })
    }

    fn transaction(&mut self, count: usize) -> Drawn<Vec<i64>> {
        let transaction = self.client()?.multi();
        self.runtime.block_on(async {
            for _ in 0..count {
                let () = transaction.incr("orders").await?;
            }
            Ok(transaction.exec(true).await?)
        })
    }

    fn block(&mut self, count: i64) -> Drawn<i64> {
        Ok(self
            .runtime
            .block_on(self.client()?.incr_by("orders", count))?)
    }

    fn string_id(&mut self) -> Drawn<String> {
        let command = CustomCommand::new_static("ID.NEXT", ClusterHash::FirstKey, false);
        Ok(self
            .runtime
            .block_on(self.client()?.custom(command, vec!["AS", "STRING"]))?)
    }

    fn pool(&mut self, size: usize) -> Drawn<Vec<i64>> {
        let pool = builder()?.build_pool(size)?;
        self.runtime.block_on(async {
            pool.init().await?;
            let tasks: Vec<_> = (0..size)
                .map(|member| tokio::spawn(draw_hundred(pool.clone(), member)))
                .collect();
            let mut ids = Vec::new();
            for task in tasks {
                ids.extend(task.await??);
            }
            pool.quit().await?;
            Ok(ids)
        })
    }

    fn draw_around_pause(&mut self) -> Drawn<Vec<i64>> {
        let client = self.client()?;
        self.runtime.block_on(async {
            let first = client.incr("orders").await?;
            tokio::time::sleep(PAUSE).await;
            Ok(vec![first, client.incr("orders").await?])
        })
    }

    fn close(&mut self) -> Drawn<()> {
        Ok(self.runtime.block_on(self.client()?.quit())?)
    }
}

fn main() {
    run(&mut Fred {
        runtime: Runtime::new().expect("tokio starts"),
        client: None,
    });
}
