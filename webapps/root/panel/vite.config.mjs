import { defineConfig } from "vite";

export default defineConfig({
  base: "/panel/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    // Beside it in dist lies the .gitignore, so that the folder is there before the first build.
    outDir: "dist/site",
    emptyOutDir: true,
    target: "es2022",
    // Everything comes from the node itself, as files: the pages' policy runs no inline script and shows no inline style.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  logLevel: "warn",
});
