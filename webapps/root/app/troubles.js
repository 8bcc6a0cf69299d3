// Why there is no camera, microphone or screen, in words, and what to do about it.

const NAMES = { video: "camera", audio: "microphone" };

/** { text, advice } for an error of `getUserMedia`. `kinds` = what was asked for, "video" and "audio". */
export function deviceTrouble(error, kinds) {
  const isOne = kinds.length === 1;
  const what = kinds.map((kind) => NAMES[kind]).join(" and ");
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return notAllowed(error, what);
    case "NotFoundError":
    case "OverconstrainedError":
      return isOne
        ? { text: `No ${what} was found.`, advice: "Plug one in and choose it, or go on without." }
        : {
            text: "Neither a camera nor a microphone was found.",
            advice: "Plug one in, switch it on, and try again. A screen can be shared without.",
          };
    case "NotReadableError":
    case "AbortError":
      return {
        text: `The ${what} cannot be used just now.`,
        advice: isOne
          ? "Another program may have it. Close that program and choose it again, or go on without."
          : "Another program may have them. Close that program, or plug them in anew, and try again.",
      };
    default:
      return {
        text: `The browser does not give the ${what}.`,
        advice: `It says “${error.message || error.name}”. Try again, or try another browser.`,
      };
  }
}

function notAllowed({ message }, what) {
  const text = `This page may not use your ${what}.`;
  if (window.top !== window.self) {
    return {
      text,
      advice: "It is shown inside another page, which has to allow that. Open it by itself and try again.",
    };
  }
  if (/system/i.test(message)) {
    return { text, advice: "Your system forbids it to the browser. Allow it in the system's privacy settings and try again." };
  }
  if (/dismiss/i.test(message)) {
    return { text: "The browser's question was not answered.", advice: "Try again, and choose Allow." };
  }
  return {
    text,
    advice: "Permission was denied. Press the icon before the address, allow it there, and try again.",
  };
}

/** The same for an error of `getDisplayMedia`; nothing when the person thought better of it. */
export function screenTrouble(error) {
  if (error.name === "NotAllowedError" && !/system/i.test(error.message)) return undefined;
  return {
    text: "The screen cannot be shared.",
    advice:
      error.name === "NotAllowedError"
        ? "Your system forbids it to the browser. Allow screen recording in the system's privacy settings and try again."
        : `The browser says “${error.message || error.name}”. Try again, or share another window.`,
  };
}

/** A device that went away while it was in use. */
export function lostTrouble(kind) {
  return {
    text: `The ${NAMES[kind]} is gone.`,
    advice: `It was unplugged or taken away. Choose another ${NAMES[kind]}, or plug it in again and choose it.`,
  };
}

/** A browser without cameras for pages. */
export const UNABLE = {
  text: "This browser gives pages no camera.",
  advice: "Try a current Chrome, Edge, Firefox or Safari.",
};

/**
 * Browsers give cameras to secure pages only. `address` is where this page is secure, if that is known; `isFramed`
 * whether it is another page around it that is not.
 */
export function insecureTrouble({ address, isFramed }) {
  if (isFramed) {
    return {
      text: "Browsers give a camera to secure pages only, and the page around this one is not.",
      advice: "Open this one by itself.",
    };
  }
  const text = "Browsers give a camera to secure pages only, and this one came over plain HTTP.";
  if (address === undefined) {
    return { text, advice: "Open it over HTTPS, or on the server's own machine as localhost." };
  }
  return {
    text,
    advice:
      "Open it over HTTPS. This server made its certificate itself, so the browser warns you first: if the server is " +
      "yours, choose “Advanced” and go on. On the server's own machine, localhost needs no HTTPS.",
  };
}
