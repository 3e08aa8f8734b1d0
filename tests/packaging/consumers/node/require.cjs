// The same through require(), for programs that are CommonJS.
const { Frontdesk } = require('frontdesk');

Frontdesk.create().catch((error) => console.log(error.code));
