//! The façade for records of recordings.

use std::sync::Arc;

use base::{AppName, StreamId, limits};

use crate::{Answer, Consistency, MetaError, Order, Query, Vod, VodId};

super::facade! {
    /// Records of recordings.
    Vods
}

/// Which records of an application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VodsWanted {
    stream: Option<StreamId>,
    /// In lower case.
    part: Option<String>,
}

impl VodsWanted {
    /// Those made of `stream`, in one of whose names or ids `part` stands in whatever case (AMS). An empty text narrows nothing
    /// down.
    pub fn new(stream: Option<StreamId>, part: Option<&str>) -> Self {
        Self { stream, part: part.filter(|part| !part.is_empty()).map(str::to_lowercase) }
    }

    fn takes(&self, vod: &Vod) -> bool {
        let Some(part) = self.part.as_deref() else { return true };
        let texts = [&vod.vod_id, &vod.vod_name, &vod.stream_id, &vod.stream_name];
        texts.into_iter().flatten().any(|text| text.to_lowercase().contains(part))
    }
}

impl Vods {
    /// One record, as of now.
    pub async fn get(&self, app: &AppName, vod: &VodId) -> Result<Option<Arc<Vod>>, MetaError> {
        self.one(app, vod, Consistency::Linearizable).await
    }

    /// One record as this node knows it.
    pub async fn get_local(&self, app: &AppName, vod: &VodId) -> Result<Option<Arc<Vod>>, MetaError> {
        self.one(app, vod, Consistency::Local).await
    }

    /// A page in `order`, else in byte order of the ids; at most [`limits::META_ROWS_PER_LIST_MAX`] of them.
    pub async fn list(
        &self,
        app: &AppName,
        wanted: &VodsWanted,
        order: Option<Order>,
        offset: usize,
        size: usize,
    ) -> Result<Vec<Arc<Vod>>, MetaError> {
        let size = size.min(limits::META_ROWS_PER_LIST_MAX);
        if order.is_none() && wanted.part.is_none() {
            return self.page(app, wanted.stream.clone(), offset, size).await;
        }
        let mut rows = self.every(app, wanted).await?;
        if let Some(order) = order {
            order.sort_vods(&mut rows);
        }
        Ok(rows.into_iter().skip(offset).take(size).collect())
    }

    /// How many there are.
    pub async fn count(&self, app: &AppName, wanted: &VodsWanted) -> Result<u64, MetaError> {
        Ok(self.every(app, wanted).await?.len() as u64)
    }

    /// All of them: as many as an application may have, shared and not copied.
    async fn every(&self, app: &AppName, wanted: &VodsWanted) -> Result<Vec<Arc<Vod>>, MetaError> {
        let mut rows = self.page(app, wanted.stream.clone(), 0, usize::MAX).await?;
        rows.retain(|vod| wanted.takes(vod));
        Ok(rows)
    }

    async fn page(
        &self,
        app: &AppName,
        stream: Option<StreamId>,
        offset: usize,
        size: usize,
    ) -> Result<Vec<Arc<Vod>>, MetaError> {
        let query = Query::Vods { app: app.clone(), stream, offset, size };
        match self.proposer.read(query, Consistency::Local).await? {
            (_, Answer::Vods(page)) => Ok(page.into_iter().map(|(_, vod)| vod).collect()),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    async fn one(
        &self,
        app: &AppName,
        vod: &VodId,
        consistency: Consistency,
    ) -> Result<Option<Arc<Vod>>, MetaError> {
        let query = Query::Vod { app: app.clone(), vod: vod.clone() };
        match self.proposer.read(query, consistency).await? {
            (_, Answer::Vod(vod)) => Ok(vod),
            _ => Err(MetaError::WrongAnswer),
        }
    }
}
