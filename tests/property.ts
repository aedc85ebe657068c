/** Property tests with one seed, so that every run tries the same cases. */
import fc from "fast-check";

fc.configureGlobal({ seed: 20220723 });

export { fc };
