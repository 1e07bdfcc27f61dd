//! What both programs of redis-rs share.

use crate::{host, is_tls, option, port};
use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, ProtocolVersion,
    RedisConnectionInfo,
};

/// Certificates come from the system, or from the file that `SSL_CERT_FILE` names.
pub fn connection_info() -> ConnectionInfo {
    let address = if is_tls() {
        ConnectionAddr::TcpTls {
            host: host(),
            port: port(),
            insecure: false,
            tls_params: None,
        }
    } else {
        ConnectionAddr::Tcp(host(), port())
    };
    let mut settings = RedisConnectionInfo::default();
    if let Some(username) = option("USERNAME") {
        settings = settings.set_username(username);
    }
    if let Some(password) = option("PASSWORD") {
        settings = settings.set_password(password);
    }
    if let Some(protocol) = option("PROTOCOL") {
        settings = settings.set_protocol(if protocol == "2" {
            ProtocolVersion::RESP2
        } else {
            ProtocolVersion::RESP3
        });
    }
    address
        .into_connection_info()
        .expect("an address is enough")
        .set_redis_settings(settings)
}

pub fn queue(count: usize) -> Pipeline {
    let mut pipeline = redis::pipe();
    for _ in 0..count {
        pipeline.cmd("INCR").arg("orders");
    }
    pipeline
}
