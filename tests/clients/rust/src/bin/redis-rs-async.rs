//! redis-rs, asynchronous, with its ConnectionManager and the pool deadpool.

use deadpool_redis::{Manager, Pool, Runtime as PoolRuntime};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, AsyncConnectionConfig, Client};
use respid_drivers::redis_rs::{connection_info, queue};
use respid_drivers::{Drawn, Driver, PATIENCE, PAUSE, run};
use tokio::runtime::Runtime;

struct Async {
    runtime: Runtime,
    manager: Option<ConnectionManager>,
}

impl Async {
    fn manager(&self) -> Drawn<ConnectionManager> {
        self.manager.clone().ok_or_else(|| "not connected".into())
    }
}

fn open_pool(size: usize) -> Drawn<Pool> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let manager = Manager::new_with_config(connection_info(), config)?;
    Ok(Pool::builder(manager)
        .max_size(size)
        .runtime(PoolRuntime::Tokio1)
        .build()?)
}

async fn draw(pool: &Pool) -> Drawn<i64> {
    Ok(pool.get().await?.incr("orders", 1).await?)
}

impl Driver for Async {
    fn connect(&mut self) -> Drawn<()> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = Client::open(connection_info())?;
        self.manager = Some(
            self.runtime
                .block_on(ConnectionManager::new_with_config(client, config))?,
        );
        Ok(())
    }

    fn ping(&mut self) -> Drawn<String> {
        Ok(self
            .runtime
            .block_on(redis::cmd("PING").query_async(&mut self.manager()?))?)
    }

    fn incr(&mut self) -> Drawn<i64> {
        Ok(self.runtime.block_on(self.manager()?.incr("orders", 1))?)
    }

    fn pipeline(&mut self, count: usize) -> Drawn<Vec<i64>> {
        Ok(self
            .runtime
            .block_on(queue(count).query_async(&mut self.manager()?))?)
    }

    fn transaction(&mut self, count: usize) -> Drawn<Vec<i64>> {
        Ok(self
            .runtime
            .block_on(queue(count).atomic().query_async(&mut self.manager()?))?)
    }

    fn block(&mut self, count: i64) -> Drawn<i64> {
        Ok(self
            .runtime
            .block_on(self.manager()?.incr("orders", count))?)
    }

    fn string_id(&mut self) -> Drawn<String> {
        let mut command = redis::cmd("ID.NEXT");
        Ok(self.runtime.block_on(
            command
                .arg("AS")
                .arg("STRING")
                .query_async(&mut self.manager()?),
        )?)
    }

    /// Each connection is taken from the pool for each ID anew: deadpool then sends UNWATCH and PING.
    fn pool(&mut self, size: usize) -> Drawn<Vec<i64>> {
        let pool = open_pool(size)?;
        self.runtime.block_on(async {
            async fn draw_hundred(pool: Pool) -> Drawn<Vec<i64>> {
                let mut ids = Vec::new();
                for _ in 0..100 {
                    ids.push(draw(&pool).await?);
                }
                Ok(ids)
            }
            let tasks: Vec<_> = (0..size)
                .map(|_| tokio::spawn(draw_hundred(pool.clone())))
                .collect();
            let mut ids = Vec::new();
            for task in tasks {
                ids.extend(task.await??);
            }
            Ok(ids)
        })
    }

    fn draw_around_pause(&mut self) -> Drawn<Vec<i64>> {
        let pool = open_pool(1)?;
        self.runtime.block_on(async {
            let first = draw(&pool).await?;
            tokio::time::sleep(PAUSE).await;
            Ok(vec![first, draw(&pool).await?])
        })
    }

    fn close(&mut self) -> Drawn<()> {
        self.manager = None;
        Ok(())
    }
}

fn main() {
    run(&mut Async {
        runtime: Runtime::new().expect("tokio starts"),
        manager: None,
    });
}
