//! The console: one page, one script, one style, all from here.

use axum::http::header::{self, HeaderName};

type Asset = ([(HeaderName, &'static str); 1], &'static str);

pub(super) async fn page() -> Asset {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], include_str!("console/console.html"))
}

pub(super) async fn script() -> Asset {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("console/console.js"))
}

pub(super) async fn style() -> Asset {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("console/console.css"))
}
