// Is MongoDB ready? The health check of the compose stack. At the first start, also with a volume from before there were
// credentials, it makes the replica set of one member and the users: what the server lets nobody but this container do.
const { readFileSync } = require("fs");
const secret = (name) => readFileSync(`/run/secrets/${name}`, "utf8").trim();
const admin = db.getSiblingDB("admin");
const vigie = db.getSiblingDB("vigie");

function logIn() {
  try {
    admin.auth("root", secret("mongodb-root-password"));
    return true;
  } catch (error) {
    if (error.codeName !== "AuthenticationFailed") throw error;
    return false;
  }
}

function isPrimary() {
  return db.hello().isWritablePrimary;
}

if (!logIn()) {
  if (!isPrimary()) {
    rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongodb:27017" }] });
    quit(1); // it becomes primary in a moment; the next check goes on
  }
  admin.createUser({ user: "root", pwd: secret("mongodb-root-password"), roles: ["root"] });
  logIn();
}
if (isPrimary() && !vigie.getUser("vigie")) {
  const roles = ["readWrite", "dbAdmin"].map((role) => ({ role, db: "vigie" }));
  vigie.createUser({ user: "vigie", pwd: secret("mongodb-password"), roles });
}
quit(isPrimary() ? 0 : 1);
