//! Bodies that nobody wants.

use actix_web::web::Payload;
use base::limits;

/// Holds a chunked body that is not read, until the answer is out: the server closes a connection whose body is
/// still held then. It would go on reading one that was dropped. (Of bodies with a length it reads no more.)
pub fn hold(body: Payload) {
    actix_web::rt::spawn(async move {
        actix_web::rt::time::sleep(limits::HTTP_BODY_HELD).await;
        drop(body);
    });
}
