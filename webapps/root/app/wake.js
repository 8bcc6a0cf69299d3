// Keeps a phone awake: with its screen its camera goes out.

let wanted = false;
let lock;

/** Holds the screen on from now on, or not any more. */
export async function keepAwake(on) {
  if (on === wanted) return;
  wanted = on;
  await follow();
}

async function follow() {
  if (!wanted) {
    lock?.release();
    lock = undefined;
  } else if (document.visibilityState === "visible") {
    // A phone that saves power may refuse; the stream goes on as long as it stays on.
    lock = await navigator.wakeLock?.request("screen").catch(() => undefined);
    if (!wanted) await follow();
  }
}

// The browser lets go of the lock of a page that is hidden.
document.addEventListener("visibilitychange", follow);
